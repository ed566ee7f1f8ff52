"""Measures of normalised class maps for the claims: how right they are, how wide, how different from other images'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from simformer.baselines.stride8.network import enlarged
from simformer.claims.label_measures import best_threshold, threshold_counts
from simformer.claims.measures import average_precision, recall_at_precision
from simformer.claims.test_images import HeldOut, of_pairs, partners
from simformer.config.settings import IGNORE

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Lowest scores that are tried, the same for every network."""
HOT = 0.5
"""Score from which on a pixel counts as hot."""


@dataclass(frozen=True)
class MapScores:
    """Scores of the maps of one network on held-out images; pairs are those of `pair_names`.

    Attributes:
        precision: average precision over pixels, [pairs].
        hot: share of pixels above HOT, [pairs].
        entropy: of the map as a distribution over pixels, in nats, [pairs].
        counts: intersection and union of C classes when present classes compete, per threshold, [T, n, C, 2].
        hits: right and all pixels of the maps at each threshold, [T, 2].
    """

    precision: np.ndarray
    hot: np.ndarray
    entropy: np.ndarray
    counts: np.ndarray
    hits: np.ndarray

    @property
    def best(self) -> int:
        """Position of the threshold of the highest mean IoU."""
        return best_threshold(self.counts.sum(axis=1))

    @property
    def best_precision(self) -> float:
        """Share of right ones among the pixels that reach the best threshold."""
        right, all_of_them = self.hits[self.best]
        return float(right / max(1, all_of_them))


def score_maps(images: Sequence[HeldOut], maps: Sequence[Tensor], classes: tuple[int, ...]) -> MapScores:
    """Score normalised maps.

    Args:
        images: n images.
        maps: of the classes of each, in [0, 1), [P, H, W] each, at the image's size.
        classes: C ids whose IoU counts.
    """
    levels = torch.tensor(THRESHOLDS)[:, None, None, None]
    counts, hits = [], np.zeros((len(THRESHOLDS), 2))
    for image, own in zip(images, maps, strict=True):
        counts.append(threshold_counts(own, image.classes, image.truth, classes, THRESHOLDS))
        known, right = _truth_of(image)
        passed = (own >= levels) & known
        hits += torch.stack([(passed & right).sum(dim=(1, 2, 3)), passed.sum(dim=(1, 2, 3))], dim=1).numpy()
    return MapScores(
        of_pairs(images, [_each(image, own, average_precision) for image, own in zip(images, maps, strict=True)]),
        of_pairs(images, [(own > HOT).float().mean(dim=(1, 2)).numpy() for own in maps]),
        of_pairs(images, [entropy(own).numpy() for own in maps]),
        np.stack(counts, axis=1),
        hits,
    )


def recalls(images: Sequence[HeldOut], maps: Sequence[Tensor], precision: float) -> np.ndarray:
    """Highest recall of each map at a precision, [pairs]. Arguments: see `score_maps`."""
    recall = partial(recall_at_precision, precision=precision)
    return of_pairs(images, [_each(image, own, recall) for image, own in zip(images, maps, strict=True)])


def entropy(maps: Tensor) -> Tensor:
    """Entropy of maps >= 0 as distributions over pixels, in nats: [P, H, W] to [P]; 0 for an empty map."""
    flat = maps.flatten(1).double()
    share = flat / flat.sum(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    entropies: Tensor = torch.special.entr(share).sum(dim=1)
    return entropies


def mean_gaps(first: Tensor, second: Tensor) -> np.ndarray:
    """Mean |first - second| over the pixels of each map: [P, H, W] twice to [P]."""
    return (first - second).abs().mean(dim=(1, 2)).numpy()


def distance_between_images(images: Sequence[HeldOut], maps: Sequence[Tensor]) -> float:
    """E_diff: mean distance of the maps that one class has in different images, the yardstick of all other gaps.

    Constant maps have no gap between views, and none between images either. NaN if no class has two images.

    Args:
        images: held-out images.
        maps: class maps of each, a row per class of the image, [P, h, w].
    """
    gaps = [
        mean_gaps(maps[i][[row]], enlarged(maps[j][None, [other]], maps[i].shape[-2:])[0])[0]
        for i, row, j, other in partners(images)
    ]
    return float(np.mean(gaps)) if gaps else float("nan")


def _truth_of(image: HeldOut) -> tuple[Tensor, Tensor]:
    """Return the known pixels [H, W], and those of each of its classes [P, H, W]."""
    truth = torch.from_numpy(image.truth)
    return truth != IGNORE, truth == torch.tensor(image.classes)[:, None, None]


def _each(image: HeldOut, maps: Tensor, measure: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
    """Apply a measure of (scores, truth) over known pixels to each map; NaN where the truth lacks the class."""
    known, right = (part.numpy() for part in _truth_of(image))
    return np.array([measure(own[known], true[known]) for own, true in zip(maps.numpy(), right, strict=True)])
