"""The class maps of one image, and their file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.atomic import atomic_write_bytes
from simformer.data.labels import LabelledImage
from simformer.errors import UserError


@dataclass(frozen=True)
class ClassMaps:
    """Scores of the classes of one image.

    Attributes:
        classes: ids of the P classes among its image-level labels, ascending.
        scores: >= 0, float [P, h, w]; half precision on disk.
        stride: pixels per cell.
        extent: (height, width) in pixels of the image as it was inferred; the grid may reach beyond it.
    """

    classes: tuple[int, ...]
    scores: Tensor
    stride: int
    extent: tuple[int, int]

    def select(self, classes: Sequence[int]) -> ClassMaps:
        """Return the maps of some classes; raises UserError if one has none."""
        if missing := sorted(set(classes) - set(self.classes)):
            raise UserError(f"no map of class {missing[0]}; there are maps of {list(self.classes)}")
        rows = [self.classes.index(c) for c in classes]
        return ClassMaps(tuple(classes), self.scores[rows], self.stride, self.extent)

    def at_size(self, height: int, width: int) -> Tensor:
        """Return the scores at a size in pixels, float [P, height, width], by bilinear interpolation."""
        if not self.classes:
            return torch.zeros(0, height, width)
        rows, columns = (side * self.stride for side in self.scores.shape[-2:])
        full = F.interpolate(self.scores.float()[None], size=(rows, columns), mode="bilinear", align_corners=False)
        full = full[..., : self.extent[0], : self.extent[1]]
        if full.shape[-2:] != (height, width):
            full = F.interpolate(full, size=(height, width), mode="bilinear", align_corners=False)
        return full[0]


def maps_path(root: Path, name: str) -> Path:
    """Return the file of an image's maps, below the folder of a manifest."""
    return root / "maps" / f"{name}.npz"


def write_image(root: Path, image: LabelledImage, identity: str, maps: ClassMaps) -> str:
    """Write the file of an image's maps; returns the checksum of its scores.

    Raises: UserError for scores that are not finite.
    """
    if not torch.isfinite(maps.scores).all():
        raise UserError(f"the maps of image '{image.name}' are not finite; train the network again")
    scores = maps.scores.to(torch.float16).cpu().numpy()
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        scores=scores,
        classes=np.array(maps.classes, np.uint8),
        geometry=np.array([maps.stride, *maps.extent], np.int32),
        identity=np.array([identity, image.image_sha256]),
    )
    atomic_write_bytes(maps_path(root, image.name), buffer.getvalue(), durable=False)
    return _checksum(scores)


def read_maps(root: Path, name: str) -> tuple[tuple[str, str], str, ClassMaps] | None:
    """Return identity, checksum and maps of an image's file; None if there is no such file, or only a broken one."""
    try:
        with np.load(maps_path(root, name), allow_pickle=False) as content:
            stride, *extent = content["geometry"].tolist()
            scores, identity = content["scores"], tuple(content["identity"].tolist())
            maps = ClassMaps(tuple(content["classes"].tolist()), torch.from_numpy(scores), stride, tuple(extent))
    except Exception:  # what a killed writer or a bad disk leaves can fail in any way
        return None
    return identity, _checksum(scores), maps


def _checksum(scores: np.ndarray) -> str:
    return hashlib.sha256(scores.tobytes()).hexdigest()[:16]
