"""Training of the stride-8 networks (plain, SEAM, CPN): the same start, the same loop, another loss each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from simformer.baselines.settings import NetworkSpec
from simformer.baselines.stride8.network import TappedClassifier
from simformer.baselines.stride8.settings import TappedSettings
from simformer.baselines.training.network_file import read_network
from simformer.baselines.training.network_training import NetworkTraining, run_training
from simformer.baselines.training.sgd import build_sgd, sgd_step, total_steps
from simformer.baselines.training.strided_backbone import freeze_stages
from simformer.data.identity import Identity, require_split
from simformer.data.labels import LabelSet
from simformer.errors import UserError
from simformer.models.weights import initialise_backbone
from simformer.train import Runtime, TrainOutputs
from simformer.training.checkpoint import file_hash

START_KIND = "warm"
"""Kind of the network from which the others start."""


@dataclass(frozen=True)
class Objective:
    """What a method teaches its network.

    Attributes:
        samples: item n is a pure function of (seed, n).
        terms: (network, items of a batch, device) -> terms of the loss by name, scalars.
        weights: of these terms, by name.
    """

    samples: Dataset
    terms: Callable[[TappedClassifier, list[Any], torch.device], dict[str, Tensor]]
    weights: dict[str, float]


@dataclass(frozen=True)
class Origin:
    """Initial weights: a file for the backbone, or a trained network of kind 'warm'; None of both for random ones."""

    weights: Path | None = None
    start: Path | None = None


def train_tapped(
    spec: NetworkSpec[TappedSettings],
    network: TappedClassifier,
    objective: Objective,
    labels: LabelSet,
    origin: Origin,
    state: Path,
    outputs: TrainOutputs,
    runtime: Runtime,
) -> None:
    """Train a network; an interrupted training continues.

    Args:
        spec: of the training.
        network: with random weights, those of the seed.
        objective: what it learns.
        labels: a label set of which only the image-level labels are used (`image_labels`).
        origin: initial weights.
        state, outputs, runtime: see `run_training`.
    """
    device, settings = torch.device(runtime.device), spec.settings
    if origin.weights is not None:
        initialise_backbone(network.backbone, origin.weights)
    if origin.start is not None:
        load_start(network, spec, labels.identity, origin.start)
    freeze_stages(network.backbone, settings.frozen_stages)
    network.to(device)
    optimizer = build_sgd(network, network.backbone, settings)
    steps = total_steps(settings, len(labels.images))

    def advance(step: int, samples: list[Any]) -> dict[str, float]:
        terms = objective.terms(network, samples, device)
        loss = torch.stack([weight * terms[name] for name, weight in objective.weights.items()]).sum()
        values = {name: float(term.detach()) for name, term in terms.items()}
        return sgd_step(loss, network, optimizer, step, steps, settings) | values

    training = NetworkTraining(
        network,
        optimizer,
        spec,
        objective.samples,
        steps,
        advance,
        labels.identity,
        {"labels": labels.hash, "initial weights": file_hash(origin.weights), "start": file_hash(origin.start)},
        tuple(objective.weights),
    )
    run_training(training, state, outputs, runtime)


def load_start(network: TappedClassifier, spec: NetworkSpec, identity: Identity, path: Path) -> None:
    """Give a network the weights of a warm one; what that lacks (CPN's regions) keeps its own.

    Raises: UserError if it was trained on other labels, has another backbone, or holds other tensors.
    """
    stored = read_network(path, START_KIND, TappedSettings)
    require_split(stored.identity, identity)
    if stored.spec.backbone != spec.backbone:
        raise UserError(
            f"{path}: trained with backbone '{stored.spec.backbone}'; expected '{spec.backbone}'. Delete it and run "
            "again"
        )
    own = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("regions.")}
    replace(stored, tensors=own | stored.tensors).fill(network)
