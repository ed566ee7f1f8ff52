"""Losses of CPN on an image and two complementary views of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from simformer.baselines.stride8.cross_regularisation import (
    NormalisedMaps,
    mean_difference,
    mined_counts,
    top_mean,
    with_background,
)


class Views(NamedTuple):
    """Maps of the whole image and of two views that show parts of it.

    Attributes:
        whole, first, second: normalised maps at the image's size.
        shares: weights of the two views, which sum to 1, [B, 2].
    """

    whole: NormalisedMaps
    first: NormalisedMaps
    second: NormalisedMaps
    shares: Tensor

    def weighted(self, kind: Literal["raw", "spread"]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of the whole, and those of the views times their weights: [B, P, H, W] each."""
        first, second = (self.shares[:, i, None, None, None] for i in (0, 1))
        whole, one, two = (getattr(maps, kind) for maps in self[:3])
        return whole, first * one, second * two


def complementary_pair_loss(views: Views, num_classes: int) -> Tensor:
    """L_cp: the maps of both views together are those of the whole.

    mean |C1 + C2 - C|, of which only the whole image's maps learn, and mean |R - R1 - R2|, of which the spreading
    of all three learns.

    Args:
        views: of the images.
        num_classes: K.
    """
    whole, first, second = views.weighted("raw")
    spread, spread_first, spread_second = views.weighted("spread")
    class_maps = mean_difference(first.detach() + second.detach(), whole, num_classes)
    return class_maps + mean_difference(spread, spread_first + spread_second, num_classes)


def cross_pair_loss(views: Views, present: Tensor, topk: Literal["literal", "active"]) -> Tensor:
    """L_cpcr: what the first view misses is to be explained by the spread maps of the second, and the reverse.

    |hard(C - C1) - R2| and |hard(C - C2) - R1|, each as the mean of its largest entries, added up.

    Args:
        views: of the images.
        present: image-level labels, bool [B, K].
        topk: see `mined_counts`.
    """
    whole, first, second = (with_background(maps.detach()) for maps in views.weighted("raw"))
    _, spread_first, spread_second = (with_background(maps) for maps in views.weighted("spread"))
    counts = mined_counts(present, whole[0, 0].numel(), topk)
    some_absent = ~present.all(dim=1)
    total = whole.new_zeros(())
    for seen, spread in ((first, spread_second), (second, spread_first)):
        total = total + top_mean((largest(whole - seen, some_absent) - spread).abs(), counts)
    return total


def largest(maps: Tensor, some_absent: Tensor) -> Tensor:
    """Keep the largest entry of each pixel over all K + 1 channels, equal ones too.

    Args:
        maps: differences of the background and the image's classes, [B, P + 1, H, W].
        some_absent: images that lack some class, whose maps are 0: there no negative entry is the largest, bool [B].
    Returns: of the maps' shape.
    """
    highest = maps.amax(dim=1, keepdim=True)
    highest = torch.where(some_absent[:, None, None, None], highest.clamp_min(0), highest)
    return maps * (maps == highest)
