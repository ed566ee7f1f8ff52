"""When the last of several trainings ends."""

from simformer.study.end_time import hours_until_end


def cell(name):
    return ("toys", "split1", name, 0)


HOURS = {cell("a"): 3.0, cell("b"): 2.0, cell("c"): 2.0}


def test_one_at_a_time_takes_the_sum():
    assert hours_until_end(HOURS, {}, 1) == 7


def test_two_at_a_time_share_the_work():
    assert hours_until_end(HOURS, {}, 2) == 4


def test_more_places_than_trainings_take_as_long_as_the_longest():
    assert hours_until_end(HOURS, {}, 9) == 3


def test_a_student_waits_for_its_teacher_and_others_use_the_time():
    assert hours_until_end(HOURS, {cell("b"): cell("a")}, 2) == 5
    assert hours_until_end(HOURS, {cell("b"): cell("a"), cell("c"): cell("b")}, 3) == 7


def test_a_teacher_that_is_done_holds_up_nobody():
    assert hours_until_end({cell("b"): 2.0}, {cell("b"): cell("a")}, 1) == 2


def test_nothing_left_ends_now():
    assert hours_until_end({}, {}, 1) == 0
