"""Training of RETAB's two networks: boundaries from base masks, affinities from base masks and novel seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from simformer.baselines.affinity import feature_affinity, pair_loss
from simformer.baselines.affinity_network import AffinityNetwork
from simformer.baselines.crops import Crops, Sample, network_input
from simformer.baselines.loop import NetworkTraining, file_hash, run_training
from simformer.baselines.network_spec import NetworkSpec
from simformer.baselines.retab.cells import pair_groups, retab_cells
from simformer.baselines.retab.edge_network import EdgeNetwork, at_pixels
from simformer.baselines.retab.edges import base_edges, edge_loss, taught
from simformer.baselines.retab.settings import EdgeSettings
from simformer.baselines.settings import AffinitySettings
from simformer.baselines.sgd import build_sgd, sgd_step, total_steps
from simformer.baselines.stencil import half_disc
from simformer.baselines.strides import freeze_stages
from simformer.data.labels import LabelSet
from simformer.models.weights import initialise_backbone
from simformer.train import Runtime, TrainOutputs

EDGE_KIND, AFFINITY_KIND = "retab_boundary", "retab_affinity"


def train_edges(
    spec: NetworkSpec[EdgeSettings],
    data: Path,
    labels: LabelSet,
    weights: Path | None,
    state: Path,
    outputs: TrainOutputs,
    runtime: Runtime,
) -> None:
    """Train the boundary network on the edges of base masks; an interrupted training continues.

    Args:
        spec: kind 'retab_boundary'.
        data: folder of the prepared dataset (images only are read from it).
        labels: the masked label set.
        weights: initial backbone weights, None for random ones.
        state, outputs, runtime: see `run_training`.
    """

    def loss(network: nn.Module, images: Tensor, label_maps: Tensor, padding: Tensor) -> Tensor:
        logits = at_pixels(network(images), *label_maps.shape[-2:])
        edges = base_edges(label_maps, padding, spec.settings.reach)
        return edge_loss(logits, *taught(*edges, label_maps, spec.settings.sides))

    _train(EdgeNetwork, loss, spec, data, labels, weights, state, outputs, runtime)


def train_affinity(
    spec: NetworkSpec[AffinitySettings],
    data: Path,
    seeds: LabelSet,
    novel: tuple[int, ...],
    weights: Path | None,
    state: Path,
    outputs: TrainOutputs,
    runtime: Runtime,
) -> None:
    """Train the affinity network on base masks and novel seeds; an interrupted training continues.

    Args:
        spec: kind 'retab_affinity'.
        data: folder of the prepared dataset (images only are read from it).
        seeds: label set of base masks and novel seeds, see `base_and_seeds`.
        novel: ids of the novel classes.
        weights, state, outputs, runtime: see `train_edges`.
    """
    offsets = half_disc(spec.settings.radius)

    def loss(network: nn.Module, images: Tensor, label_maps: Tensor, padding: Tensor) -> Tensor:
        positives, negative = pair_groups(retab_cells(label_maps, padding, novel), offsets, novel)
        return pair_loss(feature_affinity(network(images), offsets), positives, negative)

    _train(AffinityNetwork, loss, spec, data, seeds, weights, state, outputs, runtime)


def _train(
    build: Callable[[str], EdgeNetwork | AffinityNetwork],
    loss: Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor],
    spec: NetworkSpec,
    data: Path,
    labels: LabelSet,
    weights: Path | None,
    state: Path,
    outputs: TrainOutputs,
    runtime: Runtime,
) -> None:
    """Train a network with a loss of (network, images [B, 3, S, S], label maps [B, S, S], padding [B, S, S])."""
    device, settings = torch.device(runtime.device), spec.settings
    torch.manual_seed(spec.seed)
    network = build(spec.backbone)
    if weights is not None:
        initialise_backbone(network.backbone, weights)
    freeze_stages(network.backbone, settings.frozen_stages)
    network.to(device)
    optimizer = build_sgd(network, network.backbone, settings)
    steps = total_steps(settings, len(labels.images))

    def advance(step: int, samples: list[Sample]) -> dict[str, float]:
        label_maps, padding = (
            torch.stack([getattr(sample.crop, name) for sample in samples]).to(device)
            for name in ("label_map", "padding")
        )
        value = loss(network, network_input([sample.crop for sample in samples], device), label_maps, padding)
        return sgd_step(value, network, optimizer, step, steps, settings)

    training = NetworkTraining(
        network,
        optimizer,
        spec,
        Crops(data, labels, settings, spec.seed),
        steps,
        advance,
        labels.classes,
        {"labels": labels.hash, "initial weights": file_hash(weights)},
    )
    run_training(training, state, outputs, runtime)
