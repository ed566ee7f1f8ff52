"""What CPN's network learns: two views that hide complementary parts together give the maps of the whole image."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from simformer.baselines.cpn.masks import ViewCrops, ViewSample
from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.stride8.cross_regularisation import (
    NormalisedMaps,
    background_prior,
    mean_difference,
    mined_counts,
    normalised_maps,
    top_mean,
    with_background,
)
from simformer.baselines.stride8.network import TappedClassifier
from simformer.baselines.stride8.plain import classification_loss
from simformer.baselines.stride8.training import Objective
from simformer.baselines.training.crop_training import crop_batch
from simformer.data.labels import LabelSet


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


def view_shares(visible: Tensor) -> Tensor:
    """Weights of two views: the share of pixels that each shows, made to sum to 1.

    Args:
        visible: bool [B, 2, H, W].
    Returns: [B, 2].
    """
    shares = visible.float().mean(dim=(2, 3))
    return shares / shares.sum(dim=1, keepdim=True).clamp_min(torch.finfo(shares.dtype).tiny)


def cpn_terms(
    network: TappedClassifier,
    images: Tensor,
    visible: Tensor,
    present: Tensor,
    settings: CpnSettings,
    unknown: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute all terms of CPN's loss on a batch.

    Args:
        network: in train mode.
        images: normalised RGB, [B, 3, H, W]; what a view hides is 0, the mean colour.
        visible: pixels that each view shows, bool [B, 2, H, W].
        present: image-level labels, bool [B, K].
        settings: errors that count.
        unknown: see `multilabel_loss`; the other terms are of the classes that are present alone.
    Returns: 'cls' (mean of the three), 'cp', 'cpcr', and 'rv' (mean of the three) if it has a weight; scalars.
    """
    size = (images.shape[-2], images.shape[-1])
    views = [images, images * visible[:, :1], images * visible[:, 1:]]
    outputs = [network(view, present) for view in views]
    whole, first, second = (normalised_maps(raw, spread, present, size) for raw, spread in outputs)
    pair = Views(whole, first, second, view_shares(visible))
    terms = {
        "cls": torch.stack([classification_loss(raw, present, size, unknown) for raw, _ in outputs]).mean(),
        "cp": complementary_pair_loss(pair, present.shape[1]),
        "cpcr": cross_pair_loss(pair, present, settings.topk),
    }
    if settings.rv:
        terms["rv"] = torch.stack([background_prior(spread, present, size) for _, spread in outputs]).mean()
    return terms


def cpn_objective(data: Path, labels: LabelSet, settings: CpnSettings, seed: int) -> Objective:
    """Return crops and loss of CPN's network."""

    def terms(network: TappedClassifier, samples: list[ViewSample], device: torch.device) -> dict[str, Tensor]:
        batch, visible = crop_batch(samples, device), torch.stack([sample.visible for sample in samples]).to(device)
        return cpn_terms(network, batch.images, visible, batch.present, settings, batch.unknown)

    weights = {"cls": 1.0, "cp": settings.cp, "cpcr": settings.cpcr} | ({"rv": settings.rv} if settings.rv else {})
    return Objective(ViewCrops(data, labels, settings, seed), terms, weights)
