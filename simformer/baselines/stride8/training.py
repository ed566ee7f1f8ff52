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
from simformer.data.identity import Identity, require_split
from simformer.errors import UserError
from simformer.training.checkpoint import file_hash
from simformer.training.job import Job

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


def train_stride8(
    spec: NetworkSpec[TappedSettings], job: Job, network: TappedClassifier, objective: Objective, start: Path | None
) -> None:
    """Train a network; an interrupted training continues.

    Args:
        spec: of the training.
        job: of its label set only the image-level labels are used (`image_labels`).
        network: from `new_network`.
        objective: what it learns.
        start: trained network of kind 'warm' from which it starts, None for the initial weights.
    """
    if start is not None:
        load_start(network, spec, job.labels.identity, start)

    def loss(samples: list[Any]) -> tuple[Tensor, dict[str, float]]:
        terms = objective.terms(network, samples, job.device)
        total = torch.stack([weight * terms[name] for name, weight in objective.weights.items()]).sum()
        return total, {name: float(term.detach()) for name, term in terms.items()}

    training = NetworkTraining(
        spec, network, objective.samples, loss, inputs={"start": file_hash(start)}, terms=tuple(objective.weights)
    )
    run_training(training, job)


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
