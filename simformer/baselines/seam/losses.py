"""What SEAM's network learns: an image and its rescaled view give the same maps (Sec. 3.2 to 3.5 of its paper)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from simformer.baselines.seam.settings import SeamSettings
from simformer.baselines.stride8.cross_regularisation import (
    NormalisedMaps,
    background_prior,
    mean_difference,
    mined_counts,
    normalised_maps,
    top_mean,
    with_background,
)
from simformer.baselines.stride8.network import TappedClassifier, enlarged
from simformer.baselines.stride8.plain import classification_loss
from simformer.baselines.stride8.training import Objective
from simformer.baselines.training.crop_training import crop_batch
from simformer.baselines.training.crops import Crops, Sample
from simformer.data.labels import LabelSet


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


def seam_terms(
    network: TappedClassifier, images: Tensor, present: Tensor, settings: SeamSettings, unknown: Tensor | None = None
) -> dict[str, Tensor]:
    """Compute all terms of SEAM's loss on a batch.

    Args:
        network: in train mode.
        images: normalised RGB, [B, 3, H, W].
        present: image-level labels, bool [B, K].
        settings: size of the second view, errors that count.
        unknown: see `multilabel_loss`; the other terms are of the classes that are present alone.
    Returns: 'cls' (mean of both views), 'er', 'ecr', and 'rv' (mean of both views) if it has a weight; scalars.
    """
    size = (images.shape[-2], images.shape[-1])
    small = (round(size[0] * settings.rescale), round(size[1] * settings.rescale))
    views = [(images, size), (enlarged(images, small), small)]
    outputs = [(*network(view, present), extent) for view, extent in views]
    first, second = (normalised_maps(raw, spread, present, extent) for raw, spread, extent in outputs)
    first = first.resized(small)
    terms = {
        "cls": _mean([classification_loss(raw, present, extent, unknown) for raw, _, extent in outputs]),
        "er": equivariance_loss(first, second, present.shape[1]),
        "ecr": cross_regularisation_loss(first, second, present, settings.topk),
    }
    if settings.rv:
        terms["rv"] = _mean([background_prior(spread, present, extent) for _, spread, extent in outputs])
    return terms


def seam_objective(data: Path, labels: LabelSet, settings: SeamSettings, seed: int) -> Objective:
    """Return crops and loss of SEAM's network."""

    def terms(network: TappedClassifier, samples: list[Sample], device: torch.device) -> dict[str, Tensor]:
        batch = crop_batch(samples, device)
        return seam_terms(network, batch.images, batch.present, settings, batch.unknown)

    weights = {"cls": 1.0, "er": settings.er, "ecr": settings.ecr} | ({"rv": settings.rv} if settings.rv else {})
    return Objective(Crops(data, labels, settings, seed), terms, weights)


def _mean(terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).mean()
