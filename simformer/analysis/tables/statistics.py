"""How certain a difference of two methods is: over test images (paired bootstrap) and over seeds (Welch's t-test)."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from simformer.analysis.tables.numbers import Lack
from simformer.metrics import Evaluation

ROUNDING = 1e-12
"""Numbers that differ by less, as a share of their size, differ by rounding alone; a pixel more or less is 1e-11."""
CONFIDENCE = 0.95
"""Of all intervals."""
DRAWS = 2000
"""Draws of the test images."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval [low, high], or why there is none.

    Attributes:
        low, high: its ends, low < high; NaN both without one.
        lack: why there is none; empty if there is one.
    """

    low: float
    high: float
    lack: Lack = ""

    @property
    def excludes_zero(self) -> bool:
        """Whether all of it lies on one side of zero."""
        return self.low > 0 or self.high < 0


def no_interval(lack: Lack) -> Interval:
    """Return what stands for an interval that does not exist."""
    return Interval(math.nan, math.nan, lack)


@dataclass(frozen=True)
class Welch:
    """Welch's t-test (two-sided, unequal variances) of the difference of two means; all NaN where it says nothing.

    Attributes:
        p: probability of a difference at least as large, in either direction, between equal means; never 0.
        interval: of the difference; tells why there is no test.
        t, freedom: the statistic and its degrees of freedom (Welch and Satterthwaite).
    """

    p: float
    interval: Interval
    t: float
    freedom: float


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sample deviation of results over seeds.

    Both are NaN for numbers that are not finite; the mean of none and the deviation of fewer than two are NaN as well.
    """
    if not values or not np.isfinite(values).all():
        return math.nan, math.nan
    with np.errstate(over="ignore"):
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def lack_of_spread(*groups: Sequence[float]) -> Lack:
    """Tell why groups of results have no spread from which anything follows; empty if they have.

    One group that varies is enough: the other may be of a method without any chance in it. What varies is compared
    with the size of all numbers, since that is how large their rounding is.
    """
    if not all(math.isfinite(value) for group in groups for value in group):
        return "no value"
    if min(map(len, groups)) < 2:
        return "few seeds" if all(map(len, groups)) else "no value"
    size = max(abs(value) for group in groups for value in group)
    if max(max(group) - min(group) for group in groups) <= ROUNDING * size:
        return "no spread"
    return ""


def welch(a: Sequence[float], b: Sequence[float]) -> Welch:
    """Test whether two methods differ, from their results over seeds (Sec. 4.2 and Table 7).

    Args:
        a, b: a result per seed; there is no test of fewer than two, of numbers that are not finite, nor of numbers
            that do not differ by more than rounding.
    Returns: the test, with the interval of mean(a) - mean(b).
    """
    if lack := lack_of_spread(a, b):
        return Welch(math.nan, no_interval(lack), math.nan, math.nan)
    with warnings.catch_warnings(), np.errstate(all="ignore"):  # no variance in a float's range: checked below
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_ind(a, b, equal_var=False)
        low, high = map(float, result.confidence_interval(CONFIDENCE))
    found = [float(value) for value in (result.pvalue, result.statistic, result.df)]
    if not (np.isfinite([*found, low, high]).all() and low < high):
        return Welch(math.nan, no_interval("no spread"), math.nan, math.nan)
    p, t, freedom = found
    return Welch(max(p, sys.float_info.min), Interval(low, high), t, freedom)


def hedges_g(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the effect size g of mean(a) - mean(b): in pooled standard deviations, corrected for few observations.

    Cohen's d times the exact correction of Hedges (1981), about 1 - 3 / (4 (n_a + n_b) - 9).

    Args:
        a, b: a result per seed; NaN is returned where `lack_of_spread` has a reason.
    """
    freedom = len(a) + len(b) - 2
    if lack_of_spread(a, b):
        return math.nan
    with np.errstate(all="ignore"):  # numbers too large or small for a variance
        pooled = np.sqrt(((len(a) - 1) * np.var(a, ddof=1) + (len(b) - 1) * np.var(b, ddof=1)) / freedom)
        correction = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
        found = float(correction * (np.mean(a) - np.mean(b)) / pooled)
    return found if math.isfinite(found) and math.isfinite(pooled) else math.nan


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p values of a family of comparisons (Holm 1979): the chance of any false one stays below the level.

    Args:
        p: of every comparison; NaN for one that could not be made, which belongs to no family.
    Returns: adjusted values in the same order, at most 1.
    """
    adjusted = [math.nan] * len(p)
    order = sorted((i for i, value in enumerate(p) if math.isfinite(value)), key=p.__getitem__)
    reached = 0.0
    for position, i in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - position) * p[i]))
        adjusted[i] = reached
    return adjusted


def paired_bootstrap(
    a: Sequence[Evaluation],
    b: Sequence[Evaluation],
    chosen: Sequence[int],
    *,
    draws: int = DRAWS,
) -> Interval:
    """Percentile interval of the difference of mean IoU when the test images are drawn anew, with replacement.

    Both methods, and all of their trainings, are scored on the same draw; the trainings stay as they are, so that
    this says nothing about other seeds.

    Args:
        a, b: the evaluations of two methods, one per training, on the same images.
        chosen: ids of the classes in the mean; a class that a draw does not hold is left out of it.
        draws: number of draws.
    Returns: the interval of mean IoU(a) - mean IoU(b), percentage points; none of a single image, nor where all draws
        agree, as those of two equal methods do.
    Raises: ValueError if the images differ.
    """
    names = a[0].images
    if any(evaluation.images != names for evaluation in (*a, *b)):
        raise ValueError("the evaluations cover different images")
    if lack := lack_of_images(names):
        return no_interval(lack)
    weights = drawn_images(len(names), draws)
    first, second = (_over_trainings(group, chosen, weights) for group in (a, b))
    return percentile_interval(first - second, np.maximum(abs(first), abs(second)))


def image_bootstrap(group: Sequence[Evaluation], chosen: Sequence[int], *, draws: int = DRAWS) -> Interval:
    """Percentile interval of one method's mean IoU when the test images are drawn anew; see `paired_bootstrap`.

    Args:
        group: the evaluations of a method, one per training.
        chosen, draws: as there.
    Returns: the interval of mean IoU, averaged over the trainings, in percent.
    """
    if lack := lack_of_images(group[0].images):
        return no_interval(lack)
    weights = drawn_images(len(group[0].images), draws)
    means = _over_trainings(group, chosen, weights)
    return percentile_interval(means, means)


def lack_of_images(names: Sequence[str]) -> Lack:
    """Tell why nothing can be said about other images than some: there is none, or one; else empty."""
    if not len(names):
        return "no value"
    return "one image" if len(names) == 1 else ""


def _over_trainings(group: Sequence[Evaluation], chosen: Sequence[int], weights: np.ndarray) -> np.ndarray:
    means: np.ndarray = np.mean([mean_iou(evaluation, chosen, weights) for evaluation in group], axis=0)
    return means


def drawn_images(count: int, draws: int) -> np.ndarray:
    """Return how often each of `count` images occurs when as many are drawn with replacement, [draws, count].

    The seed is fixed, so that equal results have equal intervals.
    """
    return np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=draws)


def percentile_interval(values: np.ndarray, size: np.ndarray) -> Interval:
    """Interval between percentiles of a statistic.

    Args:
        values: the statistic of every draw, [draws]; draws without a value (NaN or infinite) do not count.
        size: of the numbers that the statistic is made of, [draws]; tells what is rounding.
    Returns: the interval; none if no draw has a value, or the percentiles are equal but for rounding.
    """
    known = np.isfinite(values)
    if not known.any():
        return no_interval("no value")
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values[known], [tail, 100 - tail])
    if high - low <= ROUNDING * abs(size[known]).max():
        return no_interval("no spread")
    return Interval(float(low), float(high))


def mean_iou(evaluation: Evaluation, chosen: Sequence[int], weights: np.ndarray) -> np.ndarray:
    """Mean IoU of weighted images.

    Args:
        evaluation: of n images.
        chosen: ids of the classes in the mean; those absent from the truth are left out.
        weights: how often each image counts, [draws, n].
    Returns: percent, [draws]; NaN where no chosen class is present.
    """
    hits, truth, predicted = (
        weights.astype(np.float64) @ counts[:, list(chosen)]
        for counts in (evaluation.hits, evaluation.truth, evaluation.predicted)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = np.where(truth > 0, hits / (truth + predicted - hits), np.nan)
    present = np.count_nonzero(truth > 0, axis=1)
    means = np.full(len(weights), np.nan)
    np.divide(np.nansum(iou, axis=1), present, out=means, where=present > 0)
    return 100 * means
