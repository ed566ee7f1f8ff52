"""What a plain stride-8 classifier learns: the classification loss of single crops."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from simformer.baselines.classifier import multilabel_loss
from simformer.baselines.stride8.network import TappedClassifier, pooled_logits
from simformer.baselines.stride8.settings import TappedSettings
from simformer.baselines.stride8.training import Objective
from simformer.baselines.training.crop_training import crop_batch
from simformer.baselines.training.crops import Crops, Sample
from simformer.data.labels import LabelSet


def classification_loss(raw: Tensor, present: Tensor, size: tuple[int, int], unknown: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy of an image's labels over images and classes.

    Args:
        raw: class maps A, [B, K, h, w].
        present: image-level labels, bool [B, K].
        size: of the image, pixels.
        unknown: see `multilabel_loss`.
    """
    return multilabel_loss(pooled_logits(raw, size), present, present.shape[1], unknown)


def plain_objective(data: Path, labels: LabelSet, settings: TappedSettings, seed: int) -> Objective:
    """Return crops and loss of a plain classifier."""

    def terms(network: TappedClassifier, samples: list[Sample], device: torch.device) -> dict[str, Tensor]:
        batch = crop_batch(samples, device)
        raw, (height, width) = network.class_maps(batch.images), batch.images.shape[-2:]
        return {"cls": classification_loss(raw, batch.present, (height, width), batch.unknown)}

    return Objective(Crops(data, labels, settings, seed), terms, {"cls": 1.0})
