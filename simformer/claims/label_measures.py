"""How well the class maps of one image label its novel pixels: pixels of intersection and union per class."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from simformer.baselines.class_maps.seeds import confident
from simformer.claims.measures import average_precision
from simformer.config.settings import IGNORE

ANY = float(np.finfo(np.float32).tiny)
"""Lowest score that is any at all."""


def iou_counts(predicted: np.ndarray, truth: np.ndarray, classes: tuple[int, ...]) -> np.ndarray:
    """Count pixels of intersection and union of some classes.

    Args:
        predicted: class id, or IGNORE, which is a miss, uint8 [H, W].
        truth: class id, or IGNORE, whose pixels do not count, uint8 [H, W].
        classes: C ids.
    Returns: int64 [C, 2].
    """
    known = truth != IGNORE
    both = np.bincount(truth[known & (predicted == truth)], minlength=256)
    either = sum(np.bincount(ids[known], minlength=256) for ids in (predicted, truth)) - both
    return np.stack([both, either], axis=-1)[list(classes)]


def own_argmax_counts(
    scores: Tensor, present: tuple[int, ...], truth: np.ndarray, novel: tuple[int, ...]
) -> np.ndarray:
    """Count on the novel pixels alone when all present classes compete, base classes too, whose wins are misses.

    Args:
        scores: of the present classes, [P, H, W]; where all are 0 none wins.
        present: class id of each row.
        truth: uint8 [H, W].
        novel: C ids.
    Returns: int64 [C, 2] of `iou_counts`.
    """
    hidden = np.where(np.isin(truth, novel), truth, np.uint8(IGNORE))
    return iou_counts(confident(scores, present, ANY).numpy(), hidden, novel)


def threshold_counts(
    scores: Tensor, present: tuple[int, ...], truth: np.ndarray, novel: tuple[int, ...], thresholds: tuple[float, ...]
) -> np.ndarray:
    """Count on the whole image, for seeds of several thresholds.

    Args: see `own_argmax_counts`; thresholds: T lowest scores of a pixel that is labelled.
    Returns: int64 [T, C, 2] of `iou_counts`.
    """
    best = scores.max(dim=0).values.numpy()
    winner = confident(scores, present, 0.0).numpy()
    return np.stack([iou_counts(np.where(best >= t, winner, np.uint8(IGNORE)), truth, novel) for t in thresholds])


def best_threshold(counts: np.ndarray) -> int:
    """Position of the threshold with the highest mean IoU, from counts of all images, [T, C, 2]; absent classes: 0."""
    iou = np.divide(counts[..., 0], counts[..., 1], out=np.zeros(counts.shape[:-1]), where=counts[..., 1] > 0)
    return int(iou.mean(axis=1).argmax())


def class_precisions(
    scores: Tensor, present: tuple[int, ...], truth: np.ndarray, novel: tuple[int, ...]
) -> dict[int, float]:
    """Pixel average precision of the map of every novel class that the truth holds, over its known pixels.

    Args:
        scores: class maps of an image, [P, H, W].
        present: ids of their P classes.
        truth: true label map, 255 where unknown, [H, W].
        novel: ids of the novel classes.
    Returns: average precision, 0 to 1, by class id.
    """
    known = truth != IGNORE
    flat, labels = scores[:, torch.from_numpy(known)], truth[known]
    held = [c for c in present if c in novel and (labels == c).any()]
    return {c: average_precision(flat[present.index(c)], labels == c) for c in held}
