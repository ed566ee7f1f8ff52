"""Losses of SEAM on an image and its rescaled view (Sec. 3.2 to 3.5 of its paper)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from simformer.baselines.stride8.cross_regularisation import (
    NormalisedMaps,
    mean_difference,
    mined_counts,
    top_mean,
    with_background,
)


def equivariance_loss(first: NormalisedMaps, second: NormalisedMaps, num_classes: int) -> Tensor:
    """L_ER: mean |M1 - M2| over images, K classes and pixels; both views learn from it, the spreading does not.

    Args:
        first, second: maps of the two views, at one size.
        num_classes: K.
    """
    return mean_difference(first.raw, second.raw, num_classes)


def cross_regularisation_loss(
    first: NormalisedMaps, second: NormalisedMaps, present: Tensor, topk: Literal["literal", "active"]
) -> Tensor:
    """L_ECR: the spread maps of each view follow the class maps of the other one; only the spreading learns from it.

    |hard(M2) - Q1| and |hard(M1) - Q2|, each as the mean of its largest entries, added up.

    Args:
        first, second: maps of the two views, at one size.
        present: image-level labels, bool [B, K].
        topk: see `mined_counts`.
    """
    counts = mined_counts(present, first.raw[0, 0].numel(), topk)
    total = first.raw.new_zeros(())
    for target, mine in ((second, first), (first, second)):
        spread = torch.cat([mine.background, mine.spread], dim=1)
        total = total + top_mean((strongest(target.raw.detach()) - spread).abs(), counts)
    return total


def strongest(maps: Tensor) -> Tensor:
    """Keep the largest class of each pixel, softly, and put the background before it.

    Args:
        maps: M, [B, P, H, W].
    Returns: [B, P + 1, H, W].
    """
    kept = maps * (maps == maps.amax(dim=1, keepdim=True))
    return torch.cat([with_background(maps)[:, :1], kept], dim=1)
