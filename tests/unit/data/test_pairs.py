"""Choice of the reference image, against a brute-force statement of the rules."""

import tracemalloc
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.data.labels import LabelledImage, LabelSet
from simformer.data.pairs import PairChooser

BASE, NOVEL = range(4), range(4, 7)
tables = st.lists(st.frozensets(st.integers(0, 6), max_size=5), min_size=1, max_size=9)


def label_set(table, classes=7, novel=tuple(NOVEL), unknown=None) -> LabelSet:
    unknown = unknown or [frozenset()] * len(table)
    images = [
        LabelledImage(f"{i}", f"{i}", f"{i}", 1, 1, tuple(sorted(present)), "", "", tuple(sorted(doubtful - present)))
        for i, (present, doubtful) in enumerate(zip(table, unknown, strict=True))
    ]
    return LabelSet(tuple(map(str, range(classes))), novel, tuple(images), Path(), "weak", "dataset", novel)


def chosen(table, mode, image, draws=60, unknown=None) -> set[int]:
    """References that the rule gives to an image in many draws."""
    chooser, rng = PairChooser(label_set(table, unknown=unknown), mode), np.random.default_rng(0)
    return {chooser.choose(image, rng) for _ in range(draws)}


def shared(table, a, b, classes):
    return table[a] & table[b] & set(classes)


def alone(table, unknown, a, b) -> bool:
    """Whether two images share one novel class, and surely no other."""
    possible = [table[i] | (unknown[i] if unknown else frozenset()) for i in (a, b)]
    return len(shared(table, a, b, NOVEL)) == len(possible[0] & possible[1] & set(NOVEL)) == 1


def allowed_by_the_paper(table, a, unknown=None) -> set[int]:
    others = [b for b in range(len(table)) if b != a]
    novel = [b for b in others if shared(table, a, b, NOVEL)]
    base = [b for b in others if shared(table, a, b, BASE)]
    both = [b for b in novel if b in base]
    best = both or novel or base or [a]
    if best in (base, [a]) and not novel:
        return set(best)
    allowed = set()
    for c in table[a] & set(NOVEL):
        holding = [b for b in best if c in table[b]]
        first = [b for b in holding if alone(table, unknown, a, b)]
        allowed |= set(first or holding)
    return allowed


def allowed_by_the_code(table, a, unknown=None) -> set[int]:
    """References that the released rule can give."""
    novel = table[a] & set(NOVEL)
    if len(novel) < 2:
        found = {b for b in range(len(table)) if shared(table, a, b, BASE)} - {a}
        return found or {a}
    unique = {c: {b for b in range(len(table)) if c in table[b] and alone(table, unknown, a, b)} for c in novel}
    return set().union(*(candidates - {a} or {a} for candidates in unique.values()))


doubts = st.lists(st.frozensets(st.sampled_from(NOVEL), max_size=3), min_size=9, max_size=9)


@settings(max_examples=80, deadline=None)
@given(tables, doubts, st.data())
def test_an_unknown_class_is_no_reason_to_pair_and_may_be_a_second_common_one(table, unknown, data):
    a = data.draw(st.integers(0, len(table) - 1))
    unknown = [doubtful - present for doubtful, present in zip(unknown, table, strict=False)]
    assert chosen(table, "paper", a, 400, unknown) == allowed_by_the_paper(table, a, unknown)
    assert chosen(table, "code", a, 400, unknown) == allowed_by_the_code(table, a, unknown)


def test_present_absent_and_unknown_give_other_pairs():
    rest = [{0, 4}, {0, 4, 5}]
    present, absent = [{0, 4, 5}, *rest], [{0, 4}, *rest]
    unknown = [frozenset({5}), frozenset(), frozenset()]
    assert chosen(absent, "paper", 0) == {1, 2}
    assert chosen(absent, "paper", 0, unknown=unknown) == {1}, "the other may share two classes"
    assert chosen(present, "paper", 0) == {1, 2}
    assert chosen([{0, 4}, {1, 4}, {1}], "paper", 2, unknown=[{5}, set(), {5}]) == {1}
    assert chosen([{0, 4}, {1, 4}, {2}], "paper", 2, unknown=[{5}, set(), {5}]) == {2}, "5 may be in both: no reason"


@settings(max_examples=80, deadline=None)
@given(tables, st.data())
def test_the_papers_rule_takes_the_best_that_exists(table, data):
    a = data.draw(st.integers(0, len(table) - 1))
    assert chosen(table, "paper", a, draws=400) == allowed_by_the_paper(table, a)


@settings(max_examples=80, deadline=None)
@given(tables, st.data())
def test_the_released_rule_looks_at_novel_classes_from_two_on(table, data):
    a = data.draw(st.integers(0, len(table) - 1))
    assert chosen(table, "code", a, draws=400) == allowed_by_the_code(table, a)


@settings(max_examples=30, deadline=None)
@given(tables)
def test_an_image_is_its_own_reference_only_if_no_other_shares_a_class(table):
    for a in range(len(table)):
        alone = not any(table[a] & table[b] for b in range(len(table)) if b != a)
        assert (a in chosen(table, "paper", a, draws=8)) == alone


def test_self_pairs_are_always_self():
    table = [frozenset({0, 4})] * 5
    assert all(chosen(table, "self", a) == {a} for a in range(5))


def test_the_papers_common_novel_class_is_drawn_uniformly():
    table = [{0, 4, 5}] + [{0, 4}] * 30 + [{0, 5}]
    chooser, rng = PairChooser(label_set(table), "paper"), np.random.default_rng(1)
    rare = sum(chooser.choose(0, rng) == 31 for _ in range(400))
    assert 150 < rare < 250  # 200 expected: the class is drawn first, then the image


def test_the_released_rule_prefers_the_rarest_class_a_little():
    table = [{4, 5}] + [{4}] * 30 + [{5}]
    chooser, rng = PairChooser(label_set(table), "code"), np.random.default_rng(1)
    with_rare = sum(chooser.choose(0, rng) == 31 for _ in range(6000))
    assert 2900 < with_rare < 3200  # 0.99 / 2 + 0.01 = 0.505


def test_the_choice_is_a_function_of_the_generator():
    table = [{0, 1, 4, 5}, {0, 4}, {1, 5}, {0, 1, 4}, {2, 6}, {0}]
    chooser = PairChooser(label_set(table), "paper")
    first = [chooser.choose(a, np.random.default_rng([7, a])) for a in range(6)]
    assert first == [chooser.choose(a, np.random.default_rng([7, a])) for a in range(6)]


def test_memory_grows_with_images_times_classes_only():
    def peak(images):
        table = [frozenset({i % 20, 20 + i % 7}) for i in range(images)]
        labels = label_set(table, classes=30, novel=tuple(range(20, 30)))
        tracemalloc.start()
        chooser = PairChooser(labels, "paper")
        for a in range(10):
            chooser.choose(a, np.random.default_rng(a))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    small, large = peak(2000), peak(8000)
    assert large < 6 * small
    assert large < 8000 * 30 * 10
