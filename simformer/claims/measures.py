"""Measures of scores against truth that need no threshold, or find their own: precision and recall, areas."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def precision_recall(scores: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and recall of "score >= threshold", for every threshold that occurs among the scores.

    Args:
        scores: [n]; equal ones pass a threshold together.
        truth: [n], booleans.
    Returns: precision, recall and threshold, [T] each, thresholds falling; recall is NaN if nothing is true.
    Raises: ValueError for shapes that differ or scores that are not finite.
    """
    scores, truth = _flat(scores, truth)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.zeros(0, np.int64)
    hits = np.cumsum(truth[order])[last]
    total = np.count_nonzero(truth)
    recall = hits / total if total else np.full(len(last), math.nan)
    return hits / (last + 1), recall, ranked[last]


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float:
    """Area under the precision-recall curve, as a sum of steps: of precision times what recall it adds.

    Args: see `precision_recall`.
    Returns: in (0, 1]; the share of what is true if all scores are equal, NaN if nothing is true.
    """
    precision, recall, _ = precision_recall(scores, truth)
    return float(np.sum(precision * np.diff(recall, prepend=0.0))) if len(precision) else math.nan


def recall_at_precision(scores: ArrayLike, truth: ArrayLike, precision: float) -> float:
    """Highest recall of a threshold whose precision is not below a given one.

    Args: see `precision_recall`.
    Returns: in [0, 1]; 0 if no threshold is that precise, NaN if nothing is true.
    """
    found, recall, _ = precision_recall(scores, truth)
    if not len(found) or math.isnan(recall[0]):
        return math.nan
    return float(recall[found >= precision].max(initial=0.0))


def roc_auc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Probability that something true scores higher than something false; equal scores count half.

    Args: see `precision_recall`.
    Returns: in [0, 1]; NaN if everything is true, or nothing.
    """
    scores, truth = _flat(scores, truth)
    positives = np.count_nonzero(truth)
    negatives = len(truth) - positives
    if not positives or not negatives:
        return math.nan
    return float((rankdata(scores)[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _flat(scores: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return scores as float64 [n] and truth as bool [n], checked."""
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, bool)
    if scores.ndim != 1 or scores.shape != truth.shape:
        raise ValueError(f"scores {scores.shape} and truth {truth.shape} must be of one length, in one dimension")
    if not np.isfinite(scores).all():
        raise ValueError("scores are not finite")
    return scores, truth
