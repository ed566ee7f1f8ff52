"""Numbers that are not there: no p, no interval, no error bar without real spread, and no `nan` on any page."""

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.analysis.tables.numbers import ends, number, signed, with_deviation
from simformer.analysis.tables.statistics import (
    hedges_g,
    holm,
    image_bootstrap,
    lack_of_spread,
    mean_and_deviation,
    paired_bootstrap,
    welch,
)
from simformer.study.cost import training_time
from simformer.text.json_text import json_text
from simformer.training.log import CsvLog
from tests.faults.runs import NO_NUMBER, images

THIRD, NAN, INF = 100 / 3, math.nan, math.inf
WITHOUT_SPREAD = {
    "thirds": ([THIRD] * 5, [12.5] * 5, "no spread"),
    "rounding alone": ([0.1 + 0.2, 0.3, 0.3], [0.7, 0.1 * 7, 0.7], "no spread"),
    "sums in another order": ([sum([0.1] * 10), 1.0], [10 * 0.1, 1.0], "no spread"),
    "all zero": ([0.0] * 3, [0.0, -0.0, 0.0], "no spread"),
    "rounding beside a large number": ([1e9, 1e9], [1e-9, 2e-9], "no spread"),
    "smallest numbers": ([5e-324, 0.0], [0.0, 0.0], "no spread"),
    "one seed": ([1.0], [2.0, 3.0], "few seeds"),
    "one seed of each": ([1.0], [2.0], "few seeds"),
    "no seed": ([], [2.0, 3.0], "no value"),
    "nothing": ([], [], "no value"),
    "NaN": ([1.0, NAN, 2.0], [3.0, 4.0], "no value"),
    "infinity": ([1.0, 2.0], [INF, 4.0], "no value"),
    "minus infinity": ([-INF, -INF], [4.0, 4.0], "no value"),
    "too large for a variance": ([1e200, 2e200], [-1e200, 3e200], "no spread"),
}


@pytest.mark.parametrize(("a", "b", "lack"), WITHOUT_SPREAD.values(), ids=WITHOUT_SPREAD)
def test_no_test_without_spread(a, b, lack):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, g = welch(a, b), hedges_g(a, b)
    numbers = (found.p, found.t, found.freedom, found.interval.low, found.interval.high)
    assert all(map(math.isnan, numbers)) and found.interval.lack == lack and not found.interval.excludes_zero
    assert math.isnan(g)


def test_real_spread_however_small_is_tested():
    found = welch([50.0, 50.0 + 1e-9, 50.0], [50.0, 50.0, 50.0])
    assert 0 < found.p < 1 and found.interval.low < found.interval.high and not found.interval.lack
    one_varies = welch([50.0] * 4, [40.0, 42.0, 44.0])
    assert 0 < one_varies.p < 0.1 and one_varies.freedom == pytest.approx(2)
    assert welch(np.linspace(0, 1e-7, 200) + 9, np.linspace(0, 1e-7, 200)).p > 0, "no p value is 0"


results = st.lists(
    st.one_of(
        st.sampled_from([0.0, -0.0, 12.5, THIRD, 100.0, 33.3, 0.1 + 0.2, 0.3, 1e-300, 5e-324, 1e300]),
        st.floats(-1e6, 1e6),
        st.floats(allow_nan=True, allow_infinity=True),
    ),
    max_size=5,
)


@given(results, results)
@settings(max_examples=400)
def test_there_is_a_test_only_where_results_vary(a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, g = welch(a, b), hedges_g(a, b)
    numbers = [found.p, found.t, found.freedom, found.interval.low, found.interval.high]
    if found.interval.lack:
        assert all(map(math.isnan, numbers))
    else:
        assert all(map(math.isfinite, numbers)) and 0 < found.p <= 1 and found.interval.low < found.interval.high
        assert len(a) > 1 and len(b) > 1 and (len(set(a)) > 1 or len(set(b)) > 1)
        size = max(map(abs, [*a, *b]))
        assert max(max(a) - min(a), max(b) - min(b)) > 1e-12 * size
    assert not math.isinf(g) and (math.isnan(g) or not lack_of_spread(a, b))
    text = ends(found.interval.low, found.interval.high, found.interval.lack, signed)
    texts = [text, number(found.p, ".2g"), number(g, ".2f"), with_deviation(*mean_and_deviation(a))]
    assert not any(map(NO_NUMBER.search, texts))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=6))
def test_holm_keeps_missing_values_out(p):
    adjusted = holm(p)
    for before, after in zip(p, adjusted, strict=True):
        assert math.isfinite(after) == math.isfinite(before)
    known = [value for value in p if math.isfinite(value)]
    assert [value for value in adjusted if math.isfinite(value)] == holm(known)


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (NAN, ".1f", "-"), (INF, "+.1f", "-"), (-INF, ".2g", "-"), (None, ".1f", "-"), (np.float64("nan"), ".3f", "-"),
        (-0.0, "+.1f", "+0.0"), (-0.04, ".1f", "0.0"), (-0.04, "+.1f", "-0.0"), (-0.001, ".2f", "0.00"),
        (99.96, ".1f", "100.0"), (-0.6, ".1f", "-0.6"), (5.29e-5, ".2g", "5.3e-05"), (0.0, ".0f", "0"),
    ],
)  # fmt: skip
def test_one_formatter(value, form, text):
    assert number(value, form) == text


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [(1.0, 0.5, "1.0 ± 0.5"), (1.0, NAN, "1.0"), (NAN, NAN, "-"), (NAN, 1.0, "-"), (INF, 1.0, "-"), (1.0, INF, "1.0")],
)
def test_a_mean_and_its_deviation(mean, deviation, text):
    assert with_deviation(mean, deviation) == text


SAME = [[50, 80]] * 6
NO_INTERVAL = {
    "one image": (images([[50, 80]]), images([[10, 80]]), [0, 1], "one image"),
    "all images equal": (images(SAME), images([[30, 60]] * 6), [0, 1], "no spread"),
    "equal methods": (images([[50, 80], [20, 10], [5, 6]]),) * 2 + ([0, 1], "no spread"),
    "a class in no image": (images(SAME, [[100, 0]] * 6), images(SAME, [[100, 0]] * 6), [1], "no value"),
    "a class in one image": (
        images([[100, 7], [100, 0], [100, 0]], [[100, 10], [100, 0], [100, 0]]),
        images([[100, 3], [100, 0], [100, 0]], [[100, 10], [100, 0], [100, 0]]), [1], "no spread",
    ),
    "no class chosen": (images(SAME), images(SAME), [], "no value"),
    "no image": (images(np.zeros((0, 2), int)), images(np.zeros((0, 2), int)), [0], "no value"),
}  # fmt: skip


@pytest.mark.parametrize(("a", "b", "chosen", "lack"), NO_INTERVAL.values(), ids=NO_INTERVAL)
def test_no_interval_over_images_that_say_nothing(a, b, chosen, lack):
    found = paired_bootstrap([a], [b], chosen, draws=200)
    assert math.isnan(found.low) and math.isnan(found.high) and found.lack == lack and not found.excludes_zero
    if lack == "one image":
        assert image_bootstrap([a], chosen, draws=200).lack == lack


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3)), max_size=5))
@settings(max_examples=60)
def test_bootstrap_intervals_have_a_width_or_a_reason(pixels):
    truth = np.array([[100, size] for _, size in pixels]).reshape(-1, 2)
    first = np.array([[hit, size] for hit, size in pixels]).reshape(-1, 2)
    second = np.array([[hit // 2, 0] for hit, _ in pixels]).reshape(-1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = paired_bootstrap([images(first, truth)], [images(second, truth)], [0, 1], draws=50)
    assert (found.lack == "") == (found.low < found.high)
    assert not found.lack or math.isnan(found.low)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, [NAN, {"a": INF}], {"a": (1.0, NAN)}, np.float64("nan")])
def test_json_that_every_program_reads(bad):
    def refuse(token):
        raise AssertionError(token)

    assert "null" in json_text(bad) and json.loads(json_text({"x": bad}), parse_constant=refuse)
    assert json_text({"x": [1, "NaN", True]}) == '{"x": [1, "NaN", true]}'


def test_a_training_log_has_empty_cells(tmp_path):
    log = CsvLog(tmp_path / "log.csv", 0, ("step", "total", "grad_norm"))
    log.write({"step": 10, "total": 1.5, "grad_norm": INF})
    log.write({"step": 20, "total": NAN, "grad_norm": 2.0})
    log.close()
    assert (tmp_path / "log.csv").read_text().splitlines()[1:] == ["10,1.5,", "20,,2"]


@pytest.mark.parametrize("speed", [NAN, INF, 0.0, -1.0, None])
def test_a_speed_that_is_none_is_not_used(speed, new_config):
    run = new_config()
    assert training_time(run, [{"device": "cpu", "steps_per_second": speed}], (), gpu=False) is None
