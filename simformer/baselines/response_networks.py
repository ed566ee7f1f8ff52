"""Training and class maps of every response, by the kind of its network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simformer.baselines.class_maps.cam import Response, class_activation_maps, divide_by_maximum
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob, MapSet
from simformer.baselines.classifier import load_classifier
from simformer.baselines.cpn.losses import cpn_objective
from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.responses import RESPONSES
from simformer.baselines.seam.losses import seam_objective
from simformer.baselines.settings import CamSettings, NetworkSettings, NetworkSpec, of_settings
from simformer.baselines.stride8.cross_regularisation import maxnorm
from simformer.baselines.stride8.network import TappedClassifier, view_response
from simformer.baselines.stride8.plain import plain_objective
from simformer.baselines.stride8.settings import TappedSettings
from simformer.baselines.stride8.training import Objective, load_start
from simformer.baselines.training.network_file import StoredNetwork, read_network, stored_kind
from simformer.baselines.training.network_training import NetworkTraining, new_network, run_training
from simformer.config.layers import parse
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage, LabelSet
from simformer.errors import UserError
from simformer.text.strict_json import read_option
from simformer.training.job import Job
from simformer.training.record import file_hash

OBJECTIVES: dict[str, Callable[[Path, LabelSet, Any, int], Objective]] = {
    "warm": plain_objective,
    "plain": plain_objective,
    "seam": seam_objective,
    "cpn": cpn_objective,
}
"""What each kind of network at stride 8 learns."""
STRIDE8: dict[str, type[TappedSettings]] = {
    kind: type(BaselineSettings.model_fields[kind].default) for kind in OBJECTIVES
}
"""Settings of its training."""


def parse_spec(text: str) -> NetworkSpec[TappedSettings]:
    """Read the specification of a response's training; raises UserError for an unknown kind."""
    content = read_option(text, "--spec")
    kind = content.get("kind") if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind not in STRIDE8:
        raise UserError(f"--spec: unknown kind '{kind}'; expected one of {', '.join(STRIDE8)}")
    return parse(of_settings(STRIDE8[kind]), content, "--spec")


def build_tapped(spec: NetworkSpec[TappedSettings], num_classes: int) -> TappedClassifier:
    """Build the network of a specification, with random weights."""
    settings = spec.settings
    regions = settings.regions if isinstance(settings, CpnSettings) else None
    return TappedClassifier(spec.backbone, num_classes, settings.dropout, regions)


def train_response(spec: NetworkSpec[TappedSettings], job: Job, start: Path | None = None) -> None:
    """Train the network of a response; an interrupted training continues.

    Args:
        spec: of the training; the kind of network is one of OBJECTIVES.
        job: of its label set only the image-level labels are used (`image_labels`).
        start: trained network of kind 'warm' from which it starts, None for the initial weights.
    """
    network = new_network(spec, job, lambda: build_tapped(spec, len(job.labels.classes)))
    objective = OBJECTIVES[spec.kind](job.data, job.labels, spec.settings, spec.seed)
    if start is not None:
        load_start(network, spec, job.labels.identity, start)

    def loss(samples: list[Any]) -> tuple[Tensor, dict[str, float]]:
        terms = objective.terms(network, samples, job.device)
        total = torch.stack([weight * terms[name] for name, weight in objective.weights.items()]).sum()
        return total, {name: float(term.detach()) for name, term in terms.items()}

    inputs, terms = {"start": file_hash(start)}, tuple(objective.weights)
    run_training(NetworkTraining(spec, network, objective.samples, loss, inputs=inputs, terms=terms), job)


def response_maps(path: Path, settings: CamSettings, job: MapJob) -> MapSet:
    """Write the class activation maps of a trained network for a shard of the images; those of SEAM and CPN are spread.

    Args:
        path: network file.
        settings: sizes and scales.
        job: the images.
    Raises: UserError if the network was trained on other classes or is of a kind without class maps.
    """
    kind = stored_kind(path)
    stored: StoredNetwork[NetworkSettings]
    response: Response
    if kind == "classifier":
        classifier, stored = load_classifier(path, job.device)
        response, normalised = (lambda views, _: classifier(views)), divide_by_maximum
    elif kind in STRIDE8:
        tapped, stored = load_tapped(path, job.device)
        response, normalised = partial(view_response, tapped, spread=RESPONSES[stored.spec.kind].spread), maxnorm
    else:
        raise UserError(f"{path}: a network of kind '{kind}' makes no class maps; classifier, {', '.join(STRIDE8)} do")
    require_split(stored.identity, job.labels.identity)
    count = len(job.labels.classes)

    def compute(images: list[LabelledImage]) -> Iterator[tuple[LabelledImage, ClassMaps]]:
        return class_activation_maps(response, job.data, images, count, settings, job.device, normalised)

    return job.write(stored.hash, settings, compute)


def load_tapped(path: Path, device: torch.device) -> tuple[TappedClassifier, StoredNetwork[TappedSettings]]:
    """Return a trained network at stride 8 in eval mode, and its file's content.

    Raises: UserError if the file holds another kind of network.
    """
    kind = stored_kind(path)
    if kind not in STRIDE8:
        raise UserError(f"{path}: a network of kind '{kind}'; expected one of {', '.join(STRIDE8)}")
    stored = read_network(path, kind, STRIDE8[kind])
    network = build_tapped(stored.spec, len(stored.classes))
    return stored.fill(network).eval().to(device), stored
