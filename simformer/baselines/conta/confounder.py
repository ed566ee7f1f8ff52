"""The confounder set: one average mask per class over the training images (CONTA, Sec. 3.2), on a square grid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional as F

from simformer.atomic import atomic_write_bytes
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage, LabelSet
from simformer.errors import UserError, if_made
from simformer.text.to_make import to_make


@dataclass(frozen=True)
class Confounder:
    """Average masks of the classes.

    Attributes:
        masks: c_i in [0, 1], float [n, g, g]; 0 for a class that is not known.
        known: classes with an average mask, bool [n].
    """

    masks: Tensor
    known: Tensor

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 of the average masks and of which classes have one."""
        return hashlib.sha256(self._content()).hexdigest()[:16]

    def _content(self) -> bytes:
        return save({"masks": self.masks.contiguous(), "known": self.known.contiguous()})

    def save(self, path: Path) -> None:
        """Write the file, atomically."""
        atomic_write_bytes(path, self._content())

    @classmethod
    def load(cls, path: Path) -> Confounder:
        """Read the file; raises UserError if it is missing or none."""
        try:
            content = load_file(path)
            found = cls(content["masks"], content["known"])
        except FileNotFoundError:
            raise UserError(f"{path}: no such average masks; `{to_make(path)}` makes them") from None
        except (SafetensorError, KeyError, OSError) as error:
            raise UserError(f"{path}: not average masks ({error}); {if_made()}") from None
        masks, known = found.masks, found.known
        square = masks.ndim == 3 and masks.shape[1] == masks.shape[2] and known.shape == masks.shape[:1]
        if not square or known.dtype != torch.bool or not torch.isfinite(masks).all():
            raise UserError(
                f"{path}: not average masks, or damaged ones (shapes {tuple(masks.shape)} and {tuple(known.shape)}, "
                "finite numbers expected); delete it and run snakemake again"
            )
        return found


def squeezed(masks: Tensor, side: int) -> Tensor:
    """Average masks of a whole image over the cells of a square grid, aspect ignored: [P, H, W] to [P, g, g]."""
    return F.adaptive_avg_pool2d(masks.float(), side)


def mean_masks(masks: Iterable[tuple[tuple[int, ...], Tensor]], num_classes: int, side: int) -> Confounder:
    """Average the masks of each class over the images that have one.

    Args:
        masks: of each image, its class ids (P of them) and their masks, [P, g, g].
        num_classes: n.
        side: g.
    Returns: c_i; a class in no image, or with empty masks only, is not known.
    """
    total, count = torch.zeros(num_classes, side, side, dtype=torch.float64), torch.zeros(num_classes)
    for classes, of_image in masks:
        total[list(classes)] += of_image
        count[list(classes)] += 1
    known = total.sum(dim=(1, 2)) > 0
    return Confounder((total / count.clamp_min(1)[:, None, None]).float(), known)


def confounder(predicted: MapSet, cams: MapSet, labels: LabelSet, threshold: float) -> Confounder:
    """Average the predicted masks of each class over the training images (spec of the set: CONTA, Sec. 3.2).

    A class that is predicted nowhere has the average of its thresholded class activation maps instead; if those are
    empty too, it is not known.

    Args:
        predicted: masks s of each image's predicted classes on the grid.
        cams: class activation maps of the same round.
        labels: the training images.
        threshold: lowest score of a class activation map that counts.
    Raises: UserError if no class has a mask, or the maps are not of the labels' dataset and split.
    """
    for maps in (predicted, cams):
        require_split(maps.source, labels.identity)
    side = next((maps.scores.shape[-1] for maps in map(_reader(predicted), labels.images) if maps.classes), None)
    if side is None:
        raise UserError(f"{predicted.root}: no class is predicted in any image; train the segmentation network longer")
    count = len(labels.classes)
    own = mean_masks(((m.classes, m.scores.float()) for m in map(_reader(predicted), labels.images)), count, side)
    missing = [c for c in range(count) if not own.known[c]]
    if not missing:
        return own
    instead = mean_masks(_thresholded(cams, labels, missing, threshold, side), count, side)
    masks = torch.where(own.known[:, None, None], own.masks, instead.masks)
    return Confounder(masks, own.known | instead.known)


def _reader(maps: MapSet) -> Callable[[LabelledImage], ClassMaps]:
    return lambda image: maps.read(image.name)


def _thresholded(
    cams: MapSet, labels: LabelSet, classes: list[int], threshold: float, side: int
) -> Iterable[tuple[tuple[int, ...], Tensor]]:
    for image in labels.images:
        mine = tuple(c for c in image.classes if c in classes)
        if mine:
            maps: ClassMaps = cams.read(image.name).select(mine)
            yield mine, squeezed(maps.at_size(image.height, image.width) >= threshold, side)
