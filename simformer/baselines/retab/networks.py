"""Training of RETAB's two networks: boundaries from base masks, affinities from base masks and novel seeds."""

from __future__ import annotations

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
from simformer.training.job import Job

EDGE_KIND, AFFINITY_KIND = "retab_boundary", "retab_affinity"


def train_edges(spec: NetworkSpec[EdgeSettings], job: Job) -> None:
    """Train the boundary network on the edges of base masks; an interrupted training continues.

    Args:
        spec: kind 'retab_boundary'.
        job: its label set is the masked one.
    """

    def loss(network: nn.Module, batch: CropBatch) -> Tensor:
        logits = at_pixels(network(batch.images), *batch.label_maps.shape[-2:])
        edges = base_edges(batch.label_maps, batch.padding, spec.settings.reach)
        return edge_loss(logits, *taught(*edges, batch.label_maps, spec.settings.sides))

    train_on_crops(spec, job, lambda: EdgeNetwork(spec.backbone), loss)


def train_affinity(spec: NetworkSpec[AffinitySettings], job: Job, novel: tuple[int, ...]) -> None:
    """Train the affinity network on base masks and novel seeds; an interrupted training continues.

    Args:
        spec: kind 'retab_affinity'.
        job: its label set has base masks and novel seeds, see `base_and_seeds`.
        novel: ids of the novel classes.
    """
    offsets = half_disc(spec.settings.radius)

    def loss(network: nn.Module, batch: CropBatch) -> Tensor:
        positives, negative = pair_groups(retab_cells(batch.label_maps, batch.padding, novel), offsets, novel)
        return pair_loss(feature_affinity(network(batch.images), offsets), positives, negative)

    train_on_crops(spec, job, lambda: AffinityNetwork(spec.backbone), loss)
