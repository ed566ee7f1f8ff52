"""The two ways to expand class maps, PSA and IRN: training their networks, and walking with them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.class_maps.cam import pixels_of
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob, MapSet
from simformer.baselines.expansion.affinity import boundary_affinity, feature_affinity, pair_kinds, pair_loss
from simformer.baselines.expansion.affinity_network import AffinityNetwork
from simformer.baselines.expansion.boundary_network import BoundaryNetwork
from simformer.baselines.expansion.stencil import Offset, half_disc
from simformer.baselines.expansion.walk import transition, walk
from simformer.baselines.settings import AffinitySettings, NetworkSpec, WalkSettings
from simformer.baselines.training.crop_training import CropBatch, train_on_crops
from simformer.baselines.training.network_file import read_network
from simformer.config.settings import IGNORE
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage
from simformer.data.transforms import normalise
from simformer.training.job import Job

Expansion = Literal["psa", "irn"]
GRID_STRIDES = {"psa": 8, "irn": 4}
"""Pixels per cell of each way's grid."""


def build_expander(kind: Expansion, backbone: str) -> AffinityNetwork | BoundaryNetwork:
    """Build the network of an expansion, with random weights."""
    return AffinityNetwork(backbone) if kind == "psa" else BoundaryNetwork(backbone)


def majority_cells(label_maps: Tensor, side: int) -> Tensor:
    """Label every block of pixels with the class of more than half of them, else IGNORE.

    Args:
        label_maps: class id or IGNORE, uint8 [B, H, W], H and W multiples of `side`.
        side: of a block, pixels.
    Returns: uint8 [B, H / side, W / side].
    """
    count, height, width = label_maps.shape
    blocks = label_maps.view(count, height // side, side, width // side, side).transpose(2, 3).flatten(3)
    median = blocks.median(dim=-1).values  # what fills more than half of a block is its median
    share = (blocks == median[..., None]).sum(dim=-1)
    return torch.where(2 * share > side * side, median, IGNORE)


def cell_labels(kind: Expansion, label_maps: Tensor) -> Tensor:
    """Bring seeds to the grid of an expansion: PSA takes the majority of 8 x 8 pixels, IRN every fourth pixel.

    Args:
        kind: of the expansion.
        label_maps: class id or IGNORE, uint8 [B, H, W].
    Returns: uint8 [B, ceil(H / stride), ceil(W / stride)].
    """
    stride = GRID_STRIDES[kind]
    if kind == "irn":
        return label_maps[:, ::stride, ::stride]
    bottom, right = (-side % stride for side in label_maps.shape[-2:])
    return majority_cells(F.pad(label_maps, (0, right, 0, bottom), value=IGNORE), stride)


def affinities(kind: Expansion, output: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Affinities from a network's output: features (PSA) or boundary logits (IRN), [B, O, h, w] in [0, 1]."""
    return feature_affinity(output, offsets) if kind == "psa" else boundary_affinity(output.sigmoid(), offsets)


def train_expander(spec: NetworkSpec[AffinitySettings], job: Job) -> None:
    """Train the network of an expansion on seeds; an interrupted training continues.

    Args:
        spec: kind 'psa' or 'irn'.
        job: its label set has maps with a class id at confident pixels, IGNORE elsewhere.
    """
    offsets, kind = half_disc(spec.settings.radius), cast("Expansion", spec.kind)

    def loss(network: nn.Module, batch: CropBatch) -> Tensor:
        same, different = pair_kinds(cell_labels(kind, batch.label_maps), offsets)
        return pair_loss(affinities(kind, network(batch.images), offsets), [same], different)

    train_on_crops(spec, job, lambda: build_expander(kind, spec.backbone), loss)


class Expander:
    """A trained expansion: walks the maps of an image over cells of high affinity.

    Args:
        path: network file.
        kind: what it must be, 'psa' or 'irn'.
        settings: of the walk.
        device: of the network and the walk.
    """

    def __init__(self, path: Path, kind: Expansion, settings: WalkSettings, device: torch.device) -> None:
        self.stored = read_network(path, kind, AffinitySettings)
        self.kind: Expansion = kind
        self.settings = settings
        self.device = device
        self.network = self.stored.fill(build_expander(kind, self.stored.spec.backbone)).eval().to(device)

    def write(self, maps: MapSet, job: MapJob) -> MapSet:
        """Write the expanded maps of a shard of the images.

        Args:
            maps: what the walk starts from, on a grid of stride 4.
            job: the images.
        Raises: UserError if network, maps and labels are not of one dataset and split.
        """
        require_split(self.stored.identity, job.labels.identity)
        require_split(maps.source, job.labels.identity)

        def expanded(image: LabelledImage) -> ClassMaps:
            mine = maps.read(image.name)
            return self.expand(mine, pixels_of(job.data, image, mine.extent))

        return job.write_each(f"{self.stored.hash} {maps.hash}", self.settings, expanded)

    @torch.inference_mode()
    def expand(self, maps: ClassMaps, image: Tensor) -> ClassMaps:
        """Walk the maps of one image.

        Args:
            maps: scores in [0, 1] on a grid of stride 4.
            image: raw RGB, uint8 [3, H, W], of the maps' extent.
        Returns: scores on the expansion's grid, divided by their maximum over all classes.
        """
        if not maps.classes:
            return maps
        padded = padded_input(image.to(self.device), GRID_STRIDES[self.kind])
        offsets = half_disc(self.settings.radius)
        start = walk_start(self.kind, maps, self.settings.power).to(self.device)
        if self.kind == "psa":
            output = self.network(padded)
        else:
            output = (self.network(padded) + self.network(padded.flip(-1)).flip(-1)) / 2
            start = start * (1 - output[0].sigmoid())
        return walked_maps(self.kind, maps, start, affinities(self.kind, output, offsets)[0], self.settings)


def padded_input(image: Tensor, stride: int) -> Tensor:
    """Normalise an image, uint8 [3, H, W], and pad it to multiples of a stride: [1, 3, H', W']."""
    bottom, right = (-side % stride for side in image.shape[-2:])
    return F.pad(normalise(image[None]), (0, right, 0, bottom))


def walk_start(kind: Expansion, maps: ClassMaps, power: float) -> Tensor:
    """Bring maps to the grid of an expansion: scores to a power, [P, h, w]; PSA takes means of 2 x 2 cells."""
    scores = maps.scores.float() ** power
    if kind == "irn":
        return scores
    rows, columns = (-(-side // GRID_STRIDES[kind]) for side in maps.extent)
    fine = F.pad(scores, (0, 2 * columns - scores.shape[-1], 0, 2 * rows - scores.shape[-2]))
    return F.avg_pool2d(fine, 2)


def walked_maps(kind: Expansion, maps: ClassMaps, start: Tensor, affinity: Tensor, settings: WalkSettings) -> ClassMaps:
    """Walk the scores of one image.

    Args:
        kind: of the expansion, whose grid start and affinity have.
        maps: whose classes and extent the result has.
        start: [P, h, w].
        affinity: of each cell and its partner at every offset of the settings' radius, [O, h, w].
        settings: of the walk.
    Returns: scores divided by their maximum over all classes.
    """
    walked = walk(start, transition(affinity, half_disc(settings.radius), settings.beta), settings.steps)
    walked = walked / walked.max().clamp_min(torch.finfo(walked.dtype).tiny)
    return ClassMaps(maps.classes, walked.cpu(), GRID_STRIDES[kind], maps.extent)


def blurred_maps(kind: Expansion, maps: ClassMaps, settings: WalkSettings) -> ClassMaps:
    """Walk with equal affinities, which looks at no image: what an expansion must beat (negative control)."""
    if not maps.classes:
        return maps
    start = walk_start(kind, maps, settings.power)
    affinity = torch.ones(len(half_disc(settings.radius)), *start.shape[-2:])
    return walked_maps(kind, maps, start, affinity, settings)
