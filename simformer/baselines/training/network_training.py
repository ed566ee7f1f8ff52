"""Training of the baselines' networks by SGD: one start and one loop for all, with a loss for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from simformer.baselines.settings import NetworkSettings, NetworkSpec
from simformer.baselines.training.network_file import write_network
from simformer.baselines.training.sgd import build_sgd, sgd_step, total_steps
from simformer.data.loader import training_steps
from simformer.errors import UserError
from simformer.machine.devices import gpu_name
from simformer.models.backbone import Backbone
from simformer.models.weights import initialise_backbone
from simformer.training.checkpoint import Stateful
from simformer.training.job import Job
from simformer.training.log import StepMeans
from simformer.training.loop import Loop
from simformer.training.provenance import Meter, facts

COLUMNS = ("step", "lr", "loss", "grad_norm", "seconds")
NetworkT = TypeVar("NetworkT", bound=nn.Module)


def sgd_of_backbone(network: nn.Module, settings: NetworkSettings) -> torch.optim.SGD:
    """`build_sgd` for a network whose backbone is `network.backbone`."""
    return build_sgd(network, backbone_of(network), settings)


def backbone_of(network: nn.Module) -> Backbone:
    """Return the backbone of a network that keeps it under this name."""
    backbone = network.backbone
    assert isinstance(backbone, Backbone)
    return backbone


@dataclass(frozen=True)
class NetworkTraining(Generic[NetworkT]):
    """What the loop runs.

    Attributes:
        spec: settings; the file holds them.
        network: see `new_network`; its state dict becomes the file.
        samples: item n is a pure function of (seed, n); each has a `name`.
        loss: of the items of a batch: a scalar, and its terms, which the log keeps. May raise FloatingPointError.
        optimizer_of: makes the optimiser.
        inputs: hashes of what else decides the result, beside labels and initial weights, by name.
        terms: names of the terms.
    """

    spec: NetworkSpec[NetworkSettings]
    network: NetworkT
    samples: Dataset[Any]
    loss: Callable[[list[Any]], tuple[Tensor, dict[str, float]]]
    optimizer_of: Callable[[NetworkT, Any], torch.optim.SGD] = sgd_of_backbone
    inputs: dict[str, str] = field(default_factory=dict)
    terms: tuple[str, ...] = ()


def new_network(spec: NetworkSpec[NetworkSettings], job: Job, build: Callable[[], NetworkT]) -> NetworkT:
    """Build a network with a `backbone` as its seed wants it, with its initial weights, on the job's device."""
    torch.manual_seed(spec.seed)
    network = build()
    if job.weights is not None:
        initialise_backbone(backbone_of(network), job.weights)
    backbone_of(network).freeze(spec.settings.frozen_stages)
    return network.to(job.device)


def run_training(training: NetworkTraining[NetworkT], job: Job) -> None:
    """Train a network, continuing from the state directory if it holds a state of the same settings.

    Args:
        training: network, data and loss.
        job: labels, initial weights, state, outputs and runtime.
    Raises: UserError (non-finite loss, full disk, a state of other settings); Interrupted after a signal.
    """
    spec, network, settings, means = training.spec, training.network, training.spec.settings, StepMeans()
    optimizer, total = training.optimizer_of(network, settings), total_steps(settings, len(job.labels.images))
    meter = Meter(job.device)
    parts: dict[str, Stateful] = {"network": network, "optimizer": optimizer, "means": means, "usage": meter}
    title, columns = f"{spec.kind} seed {spec.seed}", (*COLUMNS, *training.terms)

    def collect() -> None:
        meter.update([meter.own()])

    loop = Loop(title, total, job, parts, spec.hash, training.inputs, columns, collect)
    network.train()
    batches = training_steps(training.samples, settings.batch_images, loop.first, loop.last, job.runtime.workers)

    with loop.over(batches) as steps:
        for step, samples in steps:
            try:
                loss, terms = training.loss(samples)
                means.add(sgd_step(loss, network, optimizer, step, total, settings) | terms)
            except FloatingPointError as error:
                names = ", ".join(sample.name for sample in samples)
                raise UserError(
                    f"{spec.kind}, step {step}: not finite ({error}). Images of the batch: {names}. Lower "
                    f"baselines.{spec.kind}.lr; the last saved state is untouched"
                ) from None
            meter.count()
            if loop.log_due(step):
                meter.sample()
                row = means.take() | {"seconds": meter.seconds}
                loop.log(step, row, f"{row['loss']:.4f}")
            if loop.save_due(step):
                loop.save(step + 1)
        if loop.complete():
            size = {"parameters": sum(p.numel() for p in network.parameters() if p.requires_grad)}
            told = size | facts(meter.total, [gpu_name(job.device)])
            loop.finish(told, lambda path: write_network(path, network, spec, job.labels.identity))
