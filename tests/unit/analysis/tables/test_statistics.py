"""Confidence intervals over images and over seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from simformer.analysis.tables.statistics import hedges_g, holm, mean_iou, paired_bootstrap, welch
from simformer.data.identity import Identity
from simformer.metrics import Evaluation

CLASSES = ("a", "b", "c")


def evaluation(hits, truth, predicted) -> Evaluation:
    counts = [np.array(values) for values in (hits, truth, predicted)]
    names = tuple(f"image{i:03}" for i in range(len(hits)))
    return Evaluation(
        np.zeros((4, 4), dtype=np.int64),
        *counts,
        images=names,
        identity=Identity(CLASSES, "d", ()),
        model="m",
        test="t",
    )


def random_evaluation(rng, images, quality) -> Evaluation:
    """Every class has 100 pixels in every image; `quality` of them are hit, about."""
    truth = np.full((images, 3), 100)
    hits = rng.binomial(truth, np.clip(rng.normal(quality, 0.1, truth.shape), 0, 1))
    return evaluation(hits, truth, truth)


def test_mean_iou_by_hand():
    two = evaluation([[4, 1, 0], [0, 3, 0]], [[8, 1, 0], [0, 3, 0]], [[4, 5, 0], [0, 3, 0]])
    once = np.array([[1, 1], [1, 0], [0, 2]])
    assert mean_iou(two, [0], once) == pytest.approx([50, 50, math.nan], nan_ok=True)
    assert mean_iou(two, [0, 1], once) == pytest.approx([(50 + 50) / 2, (50 + 20) / 2, 100])
    assert np.isnan(mean_iou(two, [2], once)).all()


def test_the_bootstrap_is_the_percentile_interval_of_the_same_draws_for_both():
    rng = np.random.default_rng(3)
    a, b = random_evaluation(rng, 40, 0.8), random_evaluation(rng, 40, 0.6)
    drawn = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), size=300)
    expected = []
    for weights in drawn:
        ious = []
        for one in (a, b):
            rows = np.repeat(np.arange(40), weights)
            hits, truth, predicted = (x[rows].sum(axis=0) for x in (one.hits, one.truth, one.predicted))
            ious.append(100 * np.mean((hits / (truth + predicted - hits))[:2]))
        expected.append(ious[0] - ious[1])
    found = paired_bootstrap([a], [b], [0, 1], draws=300)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(expected, [2.5, 97.5])))
    assert found.excludes_zero


def test_pairing_makes_equal_methods_equal_on_every_draw():
    a = random_evaluation(np.random.default_rng(0), 20, 0.5)
    found = paired_bootstrap([a], [a], [0, 1, 2])
    assert math.isnan(found.low) and math.isnan(found.high) and found.lack == "no spread"
    assert not found.excludes_zero


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says():
    covered = 0
    for trial in range(100):
        rng = np.random.default_rng(trial)
        a, b = random_evaluation(rng, 60, 0.5), random_evaluation(rng, 60, 0.5)
        found = paired_bootstrap([a], [b], [0, 1, 2], draws=200)
        covered += found.low <= 0 <= found.high
    assert 88 <= covered <= 99


def test_several_trainings_are_averaged_on_each_draw():
    rng = np.random.default_rng(1)
    a, b, c = (random_evaluation(rng, 30, q) for q in (0.5, 0.7, 0.6))
    both = paired_bootstrap([a, b], [c], [0, 1, 2])
    swapped = paired_bootstrap([c], [b, a], [0, 1, 2])
    assert (both.low, both.high) == pytest.approx((-swapped.high, -swapped.low))
    singles = [paired_bootstrap([x], [c], [0, 1, 2]) for x in (a, b)]
    assert singles[0].low < both.low < both.high < singles[1].high


def test_other_images_are_refused():
    a, b = (random_evaluation(np.random.default_rng(0), n, 0.5) for n in (5, 6))
    with pytest.raises(ValueError, match="different images"):
        paired_bootstrap([a], [b], [0])


def test_welch_by_hand():
    a, b = [31.0, 33.0, 35.0], [30.0, 30.5, 31.0, 30.5]
    va, vb = 4 / 3, (1 / 6) / 4
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 3)
    t = (33 - 30.5) / math.sqrt(va + vb)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(va + vb)
    found = welch(a, b)
    assert found.p == pytest.approx(2 * stats.t.sf(t, freedom))
    assert (found.interval.low, found.interval.high) == pytest.approx((2.5 - half, 2.5 + half))


def test_one_seed_has_no_interval_over_seeds():
    found = welch([1.0], [2.0, 3.0])
    assert math.isnan(found.p) and math.isnan(found.interval.low)
    assert not found.interval.excludes_zero


SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""Student's sleep data (1908), as in R's help of `t.test`, which prints the values below."""


def test_welch_against_published_results():
    found = welch(*SLEEP)
    assert found.t == pytest.approx(-1.8608, abs=5e-5)
    assert found.freedom == pytest.approx(17.776, abs=5e-4)
    assert found.p == pytest.approx(0.07939, abs=5e-6)
    assert (found.interval.low, found.interval.high) == pytest.approx((-3.3654832, 0.2054832), abs=1e-6)
    unequal = welch([3.0, 4.0, 1.0, 2.1], [490.2, 340.0, 433.9])  # Rosetta Code's example, other sizes and variances
    assert unequal.p == pytest.approx(0.010751, abs=1e-6)
    pooled = stats.ttest_ind([3.0, 4.0, 1.0, 2.1], [490.2, 340.0, 433.9]).pvalue
    assert pooled < 0.001, "Student's test, which is not used, would say something else"


@pytest.mark.parametrize("seed", range(5))
def test_welch_against_scipy_on_raw_data(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(31, 0.5, 5), rng.normal(30, 2.0, 3 + seed)
    expected = stats.ttest_ind(a, b, equal_var=False)
    found = welch(a, b)
    assert (found.t, found.p, found.freedom) == (expected.statistic, expected.pvalue, expected.df)


def test_hedges_g_by_hand():
    # pooled variance (2 x 4 + 2 x 1) / 4 = 2.5; correction gamma(2) / (sqrt(2) gamma(1.5)) = sqrt(2 / pi)
    assert hedges_g([2, 4, 6], [1, 2, 3]) == pytest.approx(2 / math.sqrt(2.5) * math.sqrt(2 / math.pi))
    assert hedges_g([1, 2, 3], [2, 4, 6]) == -hedges_g([2, 4, 6], [1, 2, 3])
    many = np.arange(200.0)
    assert hedges_g(many + 10, many) == pytest.approx(10 / many.std(ddof=1) * (1 - 3 / (4 * 400 - 9)), rel=1e-5)
    assert math.isnan(hedges_g([1.0], [2, 3])) and math.isnan(hedges_g([1, 1], [2, 2]))


def test_holm_by_hand():
    # ordered: .005 x 4, .01 x 3, .03 x 2, and .04 x 1, which may not be below the one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.6, 0.9]) == [1.0, 1.0, 1.0]
    assert holm([0.2]) == [0.2] and holm([]) == []
    one, lost, other = holm([0.01, math.nan, 0.02])
    assert (one, other) == (0.02, 0.02) and math.isnan(lost)
