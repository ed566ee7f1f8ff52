"""Training of a network on random crops: what the classifier, PSA, IRN, RETAB and CONTA's segmentation share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from simformer.baselines.settings import NetworkSettings, NetworkSpec
from simformer.baselines.training.crops import Crops, Sample, network_input
from simformer.baselines.training.network_training import (
    NetworkT,
    NetworkTraining,
    new_network,
    run_training,
    sgd_of_backbone,
)
from simformer.training.job import Job


@dataclass(frozen=True)
class CropBatch:
    """The crops of one step, on the network's device.

    Attributes:
        images: normalised RGB, 0 in the padding, [B, 3, S, S].
        label_maps: class id or IGNORE, uint8 [B, S, S].
        padding: bool [B, S, S].
        present: image-level labels of the whole images, bool [B, K].
        unknown: classes of which nobody says whether an image shows them, bool [B, K]; None if there are none.
    """

    images: Tensor
    label_maps: Tensor
    padding: Tensor
    present: Tensor
    unknown: Tensor | None = None


def crop_batch(samples: Sequence[Sample], device: torch.device) -> CropBatch:
    """Join samples to a batch on a device."""
    crops = [sample.crop for sample in samples]
    return CropBatch(
        network_input(crops, device),
        torch.stack([crop.label_map for crop in crops]).to(device),
        torch.stack([crop.padding for crop in crops]).to(device),
        torch.stack([sample.present for sample in samples]).to(device),
        _unknown(samples, device),
    )


def _unknown(samples: Sequence[Sample], device: torch.device) -> Tensor | None:
    """Return `CropBatch.unknown`."""
    if all(sample.unknown is None for sample in samples):
        return None
    rows = [torch.zeros_like(s.present) if s.unknown is None else s.unknown for s in samples]
    return torch.stack(rows).to(device)


def train_on_crops(
    spec: NetworkSpec[NetworkSettings],
    job: Job,
    build: Callable[[], NetworkT],
    loss: Callable[[NetworkT, CropBatch], Tensor],
    optimizer_of: Callable[[NetworkT, Any], torch.optim.SGD] = sgd_of_backbone,
) -> None:
    """Train a network with a `backbone` on crops of the images of a label set; an interrupted training continues.

    Args:
        spec: settings and seed.
        job: its labels are images, image-level labels and, unless it is a set without any, label maps.
        build: makes the network with random weights, after the seed was set.
        loss: of the network on a batch, a scalar.
        optimizer_of: makes the optimiser.
    """
    network = new_network(spec, job, build)

    def batch_loss(samples: list[Sample]) -> tuple[Tensor, dict[str, float]]:
        return loss(network, crop_batch(samples, job.device)), {}

    samples = Crops(job.data, job.labels, spec.settings, spec.seed)
    run_training(NetworkTraining(spec, network, samples, batch_loss, optimizer_of), job)
