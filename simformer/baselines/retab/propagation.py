"""RETAB's walk in two stages: among cells that are no boundary, then from all cells into boundary cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.baselines.class_maps.cam import inference_size, pixels_of
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob, MapSet
from simformer.baselines.class_maps.seeds import confident
from simformer.baselines.expansion.affinity import feature_affinity
from simformer.baselines.expansion.affinity_network import AffinityNetwork
from simformer.baselines.expansion.psa_irn import padded_input
from simformer.baselines.expansion.stencil import half_disc
from simformer.baselines.expansion.walk import transition, walk
from simformer.baselines.retab.cells import STRIDE
from simformer.baselines.retab.edge_network import EdgeNetwork
from simformer.baselines.retab.edges import base_edges
from simformer.baselines.retab.networks import AFFINITY_KIND, EDGE_KIND
from simformer.baselines.retab.settings import EdgeSettings, TwoStageSettings
from simformer.baselines.settings import AffinitySettings, CamSettings
from simformer.baselines.training.network_file import read_network
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage
from simformer.data.transforms import resize_label

NONE_OF_THEM = IGNORE
"""Class id of the map 'none of the present classes', and of boundary maps."""
ANCHOR_REACH = 2
"""rho of the base edges that an anchored walk takes as boundaries, pixels."""


@dataclass(frozen=True)
class Anchor:
    """What an anchored walk knows of base masks: cells of the not-base region, and of base edges, bool [h, w] each."""

    region: Tensor
    edges: Tensor


def two_stages(
    scores: Tensor, affinity: Tensor, boundary: Tensor, settings: TwoStageSettings, anchor: Anchor | None = None
) -> Tensor:
    """Let scores flow within the interiors of regions, and from there into their boundaries.

    Stage 1: w_ij = a_ij^beta m_i m_j, with m = 1 where there is no boundary. Stage 2: w_ij = a_ij^beta (1 - m_j).

    Args:
        scores: X, float [C, h, w].
        affinity: a, [O, h, w].
        boundary: cells of predicted boundaries, bool [h, w].
        settings: of the walk; with one stage boundaries play no part.
        anchor: confines both stages to the not-base region, and adds its boundaries; None: nothing is confined.
    Returns: [C, h, w]; no row's range grows.
    """
    offsets = half_disc(settings.radius)
    if settings.stages == 1:
        return walk(scores, transition(affinity, offsets, settings.beta), settings.steps)
    inside = torch.ones_like(boundary) if anchor is None else anchor.region
    ring = boundary if anchor is None else boundary | anchor.edges
    for send, receive in ((inside & ~ring, inside & ~ring), (inside, inside & ring)):
        scores = walk(scores, transition(affinity, offsets, settings.beta, send, receive), settings.steps)
    return scores


def start(maps: ClassMaps, size: tuple[int, int], background: float, region: Tensor | None = None) -> Tensor:
    """Bring class maps at stride 4 to the walk's grid, with the map 'none of them' as their last row.

    Args:
        maps: S of the P present classes, in [0, 1].
        size: (h, w) of the grid at stride 8.
        background: alpha of S_0 = (1 - max S)^alpha.
        region: the not-base region on the grid of the maps, bool; outside S becomes 0, and each map is divided by its
            maximum again. None: S is taken as it is.
    Returns: [P + 1, h, w]; 0 outside the image.
    """
    scores = maps.scores.float()
    if region is not None:
        scores = scores * region
        scores = scores / scores.amax(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    nothing = (1 - scores.amax(dim=0, keepdim=True)).clamp_min(0.0) ** background
    both = torch.cat([scores, nothing])
    height, width = size
    return F.avg_pool2d(F.pad(both, (0, 2 * width - both.shape[-1], 0, 2 * height - both.shape[-2])), 2)


def own_labels(maps: ClassMaps, height: int, width: int) -> Tensor:
    """Best class of walked maps, base classes and 'none of them' included (own argmax); uint8 [H, W]."""
    return confident(maps.at_size(height, width), maps.classes, 0.0)


def write_boundaries(path: Path, settings: CamSettings, job: MapJob) -> MapSet:
    """Write the boundary probabilities of a shard of the images, at the size at which class maps are made.

    Args:
        path: network file.
        settings: of the class maps: sizes.
        job: the images.
    """
    stored = read_network(path, EDGE_KIND, EdgeSettings)
    require_split(stored.identity, job.labels.identity)
    network = stored.fill(EdgeNetwork(stored.spec.backbone)).eval().to(job.device)

    @torch.inference_mode()
    def boundaries(image: LabelledImage) -> ClassMaps:
        size = inference_size(image.height, image.width, settings)
        logits = network(padded_input(pixels_of(job.data, image, size).to(job.device), STRIDE))
        return ClassMaps((NONE_OF_THEM,), torch.sigmoid(logits).cpu(), STRIDE, size)

    return job.write_each(stored.hash, settings, boundaries)


def boundary_cells(boundary: ClassMaps, extent: tuple[int, int]) -> Tensor:
    """Bring boundary probabilities to the walk's grid for maps of a size, which need not be the boundaries' own.

    Args:
        boundary: probabilities at stride 8.
        extent: (H, W) at which the maps were made.
    Returns: [ceil(H / 8), ceil(W / 8)]; the mean over each cell's pixels, or the probabilities themselves at their own
        size.
    """
    if boundary.extent == extent:
        return boundary.scores[0]
    bottom, right = (-side % STRIDE for side in extent)
    pixels = F.pad(boundary.at_size(*extent)[None], (0, right, 0, bottom), mode="replicate")
    return F.avg_pool2d(pixels, STRIDE)[0, 0]


class Propagation:
    """A trained affinity network and the walk with it.

    Args:
        path: network file.
        settings: of the walk.
        device: of the network and the walk.
    """

    def __init__(self, path: Path, settings: TwoStageSettings, device: torch.device) -> None:
        self.stored = read_network(path, AFFINITY_KIND, AffinitySettings)
        self.settings = settings
        self.device = device
        self.network = self.stored.fill(AffinityNetwork(self.stored.spec.backbone)).eval().to(device)

    def write(self, maps: MapSet, boundaries: MapSet, anchored: bool, job: MapJob) -> MapSet:
        """Write the walked maps of a shard of the images; those of images without novel classes are empty.

        Args:
            maps: what the walk starts from, on a grid of stride 4.
            boundaries: boundary probabilities at stride 8; of the maps' size or another one.
            anchored: confine the walk to the not-base region.
            job: the images; its label set is the masked one.
        Raises: UserError if network, maps and labels are not of one dataset and split.
        """
        labels = job.labels
        require_split(self.stored.identity, labels.identity)
        require_split(boundaries.source, labels.identity)
        maps.require_blind(labels)

        def walked(image: LabelledImage) -> ClassMaps:
            mine = maps.read(image.name)
            if not labels.novel_labels(image):
                return ClassMaps((), mine.scores[:0], STRIDE, mine.extent)
            masked = torch.from_numpy(read_label_map(labels, image)) if anchored else None
            pixels = pixels_of(job.data, image, mine.extent)
            boundary = boundary_cells(boundaries.read(image.name), mine.extent)
            return self.propagate(mine, boundary, pixels, masked)

        source = f"{self.stored.hash} {maps.hash} {boundaries.hash}" + (f" {labels.hash}" if anchored else "")
        return job.write_each(source, self.settings, walked)

    @torch.inference_mode()
    def affinity(self, image: Tensor) -> Tensor:
        """Affinities of an image, uint8 [3, H, W]: [O, h, w]."""
        features = self.network(padded_input(image.to(self.device), STRIDE))
        return feature_affinity(features, half_disc(self.settings.radius))[0]

    def propagate(self, maps: ClassMaps, boundary: Tensor, image: Tensor, masked: Tensor | None = None) -> ClassMaps:
        """Walk the maps of one image.

        Args:
            maps: of the P present classes, in [0, 1], at stride 4.
            boundary: probabilities at stride 8, [h, w].
            image: raw RGB, uint8 [3, H, W], of the maps' extent.
            masked: base masks, uint8 of any size, to anchor the walk; None: it is not anchored.
        Returns: P + 1 maps at stride 8 in [0, 1], not divided by anything; the last is that of 'none of them'.
        """
        affinity = self.affinity(image)
        size = (affinity.shape[-2], affinity.shape[-1])
        anchor, region = (None, None) if masked is None else _anchor(masked, maps, size, self.device)
        begun = start(maps, size, self.settings.background, region).to(self.device)
        ring = (boundary >= self.settings.boundary).to(self.device)
        walked = two_stages(begun, affinity, ring, self.settings, anchor)
        return ClassMaps((*maps.classes, NONE_OF_THEM), walked.cpu(), STRIDE, maps.extent)


def _anchor(masked: Tensor, maps: ClassMaps, size: tuple[int, int], device: torch.device) -> tuple[Anchor, Tensor]:
    """Return what the base masks tell on the walk's grid, and the not-base region on the grid of the maps."""
    labels = torch.from_numpy(resize_label(masked.numpy(), *maps.extent))[None]
    edges, _ = base_edges(labels, torch.zeros_like(labels, dtype=torch.bool), ANCHOR_REACH)

    def share(mask: Tensor, side: int, shape: Sequence[int]) -> Tensor:
        bottom, right = (side * cells - pixels for cells, pixels in zip(shape, mask.shape[-2:], strict=True))
        return F.avg_pool2d(F.pad(mask.float(), (0, right, 0, bottom)), side)[0]

    region = labels == IGNORE
    fine = share(region, maps.stride, maps.scores.shape[-2:]) > 0.5
    anchor = Anchor((share(region, STRIDE, size) > 0.5).to(device), (share(edges, STRIDE, size) >= 0.5).to(device))
    return anchor, fine
