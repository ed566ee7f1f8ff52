"""What the cross regularisations of SEAM and CPN share: normalised maps of a view, background, counted errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from simformer.baselines.stride8.network import enlarged

MINED_SHARE = 0.2
"""Share of the errors that count."""
BACKGROUND_SHARE = 0.25
"""Share of an image that the released code takes for background at least."""


class NormalisedMaps(NamedTuple):
    """Maps of one view in [0, 1), of the classes of each image alone (see `present_maps`).

    Attributes:
        raw: maxnorm of the class maps, [B, P, H, W].
        spread: maxnorm of the spread maps, [B, P, H, W].
        background: maxnorm of the spread background, [B, 1, H, W].
    """

    raw: Tensor
    spread: Tensor
    background: Tensor

    def resized(self, size: tuple[int, int]) -> NormalisedMaps:
        """Return the maps at another size."""
        return NormalisedMaps(*(enlarged(maps, size) for maps in self))


def normalised_maps(raw: Tensor, spread: Tensor, present: Tensor, size: tuple[int, int]) -> NormalisedMaps:
    """Enlarge the maps of a view to a size and normalise them there.

    Args:
        raw: A, [B, K, h, w].
        spread: r, [B, K + 1, h, w], channel 0 the background.
        present: image-level labels, bool [B, K].
        size: of the view, pixels.
    """
    (raw, real), (foreground, _) = present_maps(raw, present), present_maps(spread[:, 1:], present)
    raw, foreground, background = (maxnorm(enlarged(maps, size)) for maps in (raw, foreground, spread[:, :1]))
    return NormalisedMaps(real * raw, real * foreground, background)


def with_background(maps: Tensor) -> Tensor:
    """Put what no class explains, 1 - max over classes, before the maps: [B, P, H, W] to [B, P + 1, H, W]."""
    return torch.cat([1 - maps.amax(dim=1, keepdim=True), maps], dim=1)


def mean_difference(first: Tensor, second: Tensor, num_classes: int) -> Tensor:
    """Mean of |first - second| over images, all K classes and pixels; maps of absent classes are 0 and left out.

    Args:
        first, second: [B, P, H, W].
        num_classes: K.
    """
    return (first - second).abs().sum() / (len(first) * num_classes * first[0, 0].numel())


def mined_counts(present: Tensor, pixels: int, topk: Literal["literal", "active"]) -> list[int]:
    """Number of errors of each image that count.

    Args:
        present: image-level labels, bool [B, K].
        pixels: of a map.
        topk: 20 % of K + 1 maps, or of the maps of the image's classes and the background.
    """
    count, num_classes = present.shape
    maps = [num_classes] * count if topk == "literal" else present.sum(dim=1).tolist()
    return [max(1, int(MINED_SHARE * (m + 1) * pixels)) for m in maps]


def background_prior(spread: Tensor, present: Tensor, size: tuple[int, int]) -> Tensor:
    """Mean of the lowest quarter of the strongest spread map: "a quarter of the image is background" (SEAM's L_rv).

    Args:
        spread: r, [B, K + 1, h, w].
        present: image-level labels, bool [B, K].
        size: of the view, pixels.
    """
    foreground, real = present_maps(spread[:, 1:], present)
    strongest = (real * enlarged(foreground, size)).amax(dim=1).flatten(1)
    count = max(1, int(BACKGROUND_SHARE * strongest.shape[1]))
    return strongest.topk(count, largest=False, sorted=False).values.mean().relu()


EPSILON = 1e-5


def maxnorm(maps: Tensor) -> Tensor:
    """Rectify maps and bring their minimum to 0 and their maximum near 1, each map by itself.

    r = ReLU(A); ReLU(r - min r - e) / (max r - min r + e). The gradient also flows through minimum and maximum.

    Args:
        maps: raw maps A, [..., H, W].
    Returns: in [0, 1), of the same shape; a map without a positive value is 0 everywhere.
    """
    positive = maps.relu()
    lowest, highest = positive.amin(dim=(-2, -1), keepdim=True), positive.amax(dim=(-2, -1), keepdim=True)
    return (positive - lowest - EPSILON).relu() / (highest - lowest + EPSILON)


def present_maps(maps: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Gather the maps of each image's classes, in the order of their ids.

    Args:
        maps: [B, K, h, w].
        present: image-level labels, bool [B, K].
    Returns: (maps [B, P, h, w], real [B, P, 1, 1] of the maps' type), P being the largest number of classes of an
        image; images of fewer classes are filled up with other maps, where `real` is 0.
    """
    width = max(1, int(present.sum(dim=1).max()))
    chosen = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :width]
    rows = torch.arange(len(maps), device=maps.device)[:, None]
    return maps[rows, chosen], present.gather(1, chosen)[..., None, None].to(maps.dtype)


def top_mean(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Mean over images of the mean of the largest values of each.

    Args:
        values: >= 0, [B, ...]; values that are left out because they are 0 do not matter.
        counts: how many values of each image count; where there are fewer, the missing ones count as 0.
    Returns: a scalar.
    """
    flat = values.flatten(1)
    means = [
        (row if count >= len(row) else row.topk(count, sorted=False).values).sum() / count
        for row, count in zip(flat, counts, strict=True)
    ]
    return torch.stack(means).mean()
