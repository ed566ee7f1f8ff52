"""Held-out images on which claims about networks are measured: labels gate the maps, true masks score them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simformer.baselines.class_maps.cam import inference_size, pixels_of
from simformer.baselines.settings import CamSettings
from simformer.data.index import DatasetIndex
from simformer.data.transforms import normalise, resize_label
from simformer.data.truth import read_truth

HELD_OUT_IMAGES = 100
"""Test images that are measured, the first ones of the list."""


@dataclass(frozen=True)
class HeldOut:
    """One test image at the size at which maps are made.

    Attributes:
        name: of the image.
        classes: P ids of its image-level labels, ascending.
        pixels: normalised RGB, [1, 3, H, W].
        present: image-level labels, bool [1, K].
        truth: class ids, IGNORE where there is none, uint8 [H, W]; only scores may read it.
    """

    name: str
    classes: tuple[int, ...]
    pixels: Tensor
    present: Tensor
    truth: np.ndarray

    @property
    def held(self) -> list[int]:
        """Positions among `classes` of those that the truth holds at this size."""
        return [row for row, c in enumerate(self.classes) if (self.truth == c).any()]


def read_held_out(data: Path, index: DatasetIndex, settings: CamSettings, device: torch.device) -> list[HeldOut]:
    """Read the first test images that have a label.

    Args:
        data: folder of the prepared dataset.
        index: its index.
        settings: sizes of the maps.
        device: of the networks.
    """
    found = []
    for record in [record for record in index.test if record.labels][:HELD_OUT_IMAGES]:
        size = inference_size(record.height, record.width, settings)
        pixels = normalise(pixels_of(data, record, size)[None].to(device))
        present = torch.zeros(1, len(index.classes), dtype=torch.bool, device=device)
        present[0, list(record.labels)] = True
        truth = resize_label(read_truth(data, record), *size)
        found.append(HeldOut(record.name, record.labels, pixels, present, truth))
    return found


def pair_names(images: Sequence[HeldOut]) -> tuple[str, ...]:
    """Name of the image of each pair (image, class that its truth holds); all values per pair have this order."""
    return tuple(image.name for image in images for _ in image.held)


def of_pairs(images: Sequence[HeldOut], values: Sequence[np.ndarray]) -> np.ndarray:
    """Put values per class of each image in the order of `pair_names`: n times [P] to [pairs]."""
    return np.concatenate([np.asarray(v, np.float64)[image.held] for image, v in zip(images, values, strict=True)])


def partners(images: Sequence[HeldOut]) -> list[tuple[int, int, int, int]]:
    """Pair each image's maps with those of the next image that has the class; a class of one image has no partner.

    Returns: (image, row, other image, its row), rows being positions among their classes.
    """
    holders: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for position, image in enumerate(images):
        for row in image.held:
            holders[image.classes[row]].append((position, row))
    return [
        (*mine, *other)
        for places in holders.values()
        if len(places) > 1
        for mine, other in zip(places, places[1:] + places[:1], strict=True)
    ]
