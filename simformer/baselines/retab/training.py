"""Training of RETAB's two networks: boundaries from base masks, affinities from base masks and novel seeds."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from simformer.baselines.expansion.affinity import feature_affinity, pair_loss
from simformer.baselines.expansion.affinity_network import AffinityNetwork
from simformer.baselines.expansion.stencil import half_disc
from simformer.baselines.retab.cells import pair_groups, retab_cells
from simformer.baselines.retab.edge_network import EdgeNetwork, at_pixels
from simformer.baselines.retab.edges import base_edges, edge_loss, taught
from simformer.baselines.retab.settings import EdgeSettings
from simformer.baselines.settings import AffinitySettings, NetworkSpec
from simformer.baselines.training.crop_training import CropBatch, train_on_crops
from simformer.data.labels import LabelSet
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

    def loss(network: nn.Module, batch: CropBatch) -> Tensor:
        logits = at_pixels(network(batch.images), *batch.label_maps.shape[-2:])
        edges = base_edges(batch.label_maps, batch.padding, spec.settings.reach)
        return edge_loss(logits, *taught(*edges, batch.label_maps, spec.settings.sides))

    train_on_crops(spec, lambda: EdgeNetwork(spec.backbone), loss, data, labels, weights, state, outputs, runtime)


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

    def loss(network: nn.Module, batch: CropBatch) -> Tensor:
        positives, negative = pair_groups(retab_cells(batch.label_maps, batch.padding, novel), offsets, novel)
        return pair_loss(feature_affinity(network(batch.images), offsets), positives, negative)

    train_on_crops(spec, lambda: AffinityNetwork(spec.backbone), loss, data, seeds, weights, state, outputs, runtime)
