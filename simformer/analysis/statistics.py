"""How sure a difference of two methods is: over test images (paired bootstrap) and over seeds (Welch's t-test)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from simformer.metrics import Evaluation


@dataclass(frozen=True)
class Interval:
    """A confidence interval [low, high]; both ends are NaN where there are too few observations for one."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether all of it lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Welch:
    """Welch's t-test (two-sided, unequal variances) of the difference of two means.

    Attributes:
        p: probability of a difference at least as large, in either direction, between equal means.
        interval: of the difference.
        t, freedom: the statistic and its degrees of freedom (Welch and Satterthwaite).
    """

    p: float
    interval: Interval
    t: float
    freedom: float


def welch(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Welch:
    """Test whether two methods differ, from their results over seeds (Sec. 4.2 and Table 7).

    Args:
        a, b: a result per seed; each at least two, or NaN is returned.
        confidence: of the interval of mean(a) - mean(b).
    """
    if min(len(a), len(b)) < 2:
        return Welch(math.nan, Interval(math.nan, math.nan), math.nan, math.nan)
    with warnings.catch_warnings():  # equal results on every seed have no variance: p is NaN, as it should be
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_ind(a, b, equal_var=False)
        low, high = result.confidence_interval(confidence)
    return Welch(float(result.pvalue), Interval(float(low), float(high)), float(result.statistic), float(result.df))


def hedges_g(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the effect size g of mean(a) - mean(b): in pooled standard deviations, corrected for few observations.

    Cohen's d times the exact correction of Hedges (1981), about 1 - 3 / (4 (n_a + n_b) - 9).

    Args:
        a, b: a result per seed; each at least two, and not all equal, or NaN is returned.
    """
    freedom = len(a) + len(b) - 2
    if min(len(a), len(b)) < 2:
        return math.nan
    pooled = math.sqrt(((len(a) - 1) * np.var(a, ddof=1) + (len(b) - 1) * np.var(b, ddof=1)) / freedom)
    if pooled == 0:
        return math.nan
    correction = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return float(correction * (np.mean(a) - np.mean(b)) / pooled)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p values of a family of comparisons (Holm 1979): the chance of any false one stays below the level.

    Args:
        p: of every comparison; NaN for one that could not be made, which belongs to no family.
    Returns: adjusted values in the same order, at most 1.
    """
    adjusted = [math.nan] * len(p)
    order = sorted((i for i, value in enumerate(p) if not math.isnan(value)), key=p.__getitem__)
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
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the difference of mean IoU when the test images are drawn anew, with replacement.

    Both methods, and all of their trainings, are scored on the same draw; the trainings stay as they are, so that
    this says nothing about other seeds.

    Args:
        a, b: the evaluations of two methods, one per training, on the same images.
        chosen: ids of the classes in the mean; a class that a draw does not hold is left out of it.
        draws: number of draws.
        confidence: of the interval.
        seed: of the draws.
    Returns: the interval of mean IoU(a) - mean IoU(b), percentage points.
    Raises: ValueError if the images differ.
    """
    names = a[0].images
    if any(evaluation.images != names for evaluation in (*a, *b)):
        raise ValueError("the evaluations are of different images")
    weights = drawn_images(len(names), draws, seed)
    means = [_over_trainings(group, chosen, weights) for group in (a, b)]
    return percentile_interval(means[0] - means[1], confidence)


def image_bootstrap(
    group: Sequence[Evaluation], chosen: Sequence[int], *, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile interval of one method's mean IoU when the test images are drawn anew; see `paired_bootstrap`.

    Args:
        group: the evaluations of a method, one per training.
        chosen, draws, confidence, seed: as there.
    Returns: the interval of mean IoU, averaged over the trainings, in percent.
    """
    weights = drawn_images(len(group[0].images), draws, seed)
    return percentile_interval(_over_trainings(group, chosen, weights), confidence)


def _over_trainings(group: Sequence[Evaluation], chosen: Sequence[int], weights: np.ndarray) -> np.ndarray:
    return np.mean([mean_iou(evaluation, chosen, weights) for evaluation in group], axis=0)


def drawn_images(count: int, draws: int, seed: int) -> np.ndarray:
    """Return how often each of `count` images occurs when as many are drawn with replacement, [draws, count]."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)


def percentile_interval(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """Interval between percentiles of a statistic, one value per draw; draws without a value (NaN) do not count."""
    if np.isnan(values).all():
        return Interval(math.nan, math.nan)
    tail = 50 * (1 - confidence)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
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
    return 100 * np.divide(np.nansum(iou, axis=1), present, out=np.full(len(weights), np.nan), where=present > 0)
