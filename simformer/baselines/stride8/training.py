"""What the trainings of the stride-8 networks (plain, SEAM, CPN) share: the form of their losses, and their start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from simformer.baselines.settings import NetworkSettings, NetworkSpec
from simformer.baselines.stride8.network import TappedClassifier
from simformer.baselines.stride8.settings import TappedSettings
from simformer.baselines.training.network_file import read_network
from simformer.data.identity import Identity, require_split
from simformer.errors import UserError

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

    samples: Dataset[Any]
    terms: Callable[[TappedClassifier, list[Any], torch.device], dict[str, Tensor]]
    weights: dict[str, float]


def load_start(network: TappedClassifier, spec: NetworkSpec[NetworkSettings], identity: Identity, path: Path) -> None:
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
