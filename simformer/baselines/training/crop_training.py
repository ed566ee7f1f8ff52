"""Training of a network on random crops: what the classifier, PSA, IRN, RETAB and CONTA's segmentation share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from simformer.baselines.settings import NetworkSettings, NetworkSpec
from simformer.baselines.training.crops import Crops, Sample, network_input
from simformer.baselines.training.network_training import NetworkTraining, run_training
from simformer.baselines.training.sgd import build_sgd, sgd_step, total_steps
from simformer.baselines.training.strided_backbone import freeze_stages
from simformer.data.labels import LabelSet
from simformer.models.weights import initialise_backbone
from simformer.train import Runtime, TrainOutputs
from simformer.training.checkpoint import file_hash


@dataclass(frozen=True)
class CropBatch:
    """The crops of one step, on the network's device.

    Attributes:
        images: normalised RGB, 0 in the padding, [B, 3, S, S].
        label_maps: class id or IGNORE, uint8 [B, S, S].
        padding: bool [B, S, S].
        present: image-level labels of the whole images, bool [B, K].
    """

    images: Tensor
    label_maps: Tensor
    padding: Tensor
    present: Tensor


def crop_batch(samples: list[Sample], device: torch.device) -> CropBatch:
    """Join samples to a batch on a device."""
    crops = [sample.crop for sample in samples]
    return CropBatch(
        network_input(crops, device),
        torch.stack([crop.label_map for crop in crops]).to(device),
        torch.stack([crop.padding for crop in crops]).to(device),
        torch.stack([sample.present for sample in samples]).to(device),
    )


def sgd_of_backbone(network: nn.Module, settings: NetworkSettings) -> torch.optim.SGD:
    """`build_sgd` for a network whose backbone is `network.backbone`."""
    return build_sgd(network, network.backbone, settings)


def train_on_crops(
    spec: NetworkSpec,
    build: Callable[[], nn.Module],
    loss: Callable[[nn.Module, CropBatch], Tensor],
    data: Path,
    labels: LabelSet,
    weights: Path | None,
    state: Path,
    outputs: TrainOutputs,
    runtime: Runtime,
    optimizer_of: Callable[[nn.Module, NetworkSettings], torch.optim.SGD] = sgd_of_backbone,
) -> None:
    """Train a network with a `backbone` on crops of the images of a label set; an interrupted training continues.

    Args:
        spec: settings and seed.
        build: makes the network with random weights, after the seed was set.
        loss: of the network on a batch, a scalar.
        data: folder of the prepared dataset (images only are read from it).
        labels: images, image-level labels and, unless it is a set without any, label maps.
        weights: initial backbone weights, None for random ones.
        state, outputs, runtime: see `run_training`.
        optimizer_of: makes the optimiser.
    """
    device, settings = torch.device(runtime.device), spec.settings
    torch.manual_seed(spec.seed)
    network = build()
    if weights is not None:
        initialise_backbone(network.backbone, weights)
    freeze_stages(network.backbone, settings.frozen_stages)
    network.to(device)
    optimizer = optimizer_of(network, settings)
    steps = total_steps(settings, len(labels.images))

    def advance(step: int, samples: list[Sample]) -> dict[str, float]:
        return sgd_step(loss(network, crop_batch(samples, device)), network, optimizer, step, steps, settings)

    inputs = {"labels": labels.hash, "initial weights": file_hash(weights)}
    samples = Crops(data, labels, settings, spec.seed)
    training = NetworkTraining(network, optimizer, spec, samples, steps, advance, labels.identity, inputs)
    run_training(training, state, outputs, runtime)
