"""Other images in an image's fine-tuning: those with the fewest classes in common anchor the shared weights (RIB)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from simformer.baselines.rib.pooling import ABSENT, PRESENT, SHARED
from simformer.baselines.settings import NetworkSettings
from simformer.baselines.training.crops import Crops, network_input, placed_crop
from simformer.data.checked import read_photograph
from simformer.data.labels import LabelledImage, LabelSet, present_classes, unknown_classes
from simformer.errors import UserError

BATCH = 16
TAG = 7
"""Keeps these draws apart from those of other stages with the same seed."""


def draw_rows(overlap: np.ndarray, count: int, candidates: int, rng: np.random.Generator) -> np.ndarray:
    """Draw rows from those with the lowest overlap; ties are broken at random.

    Args:
        overlap: classes that each row has in common with the image, [n]; negative for rows that must not be drawn.
        count: B, how many.
        candidates: from how many.
        rng: source of all randomness.
    Raises: UserError if there are fewer than `count`.
    """
    allowed = np.flatnonzero(overlap >= 0)
    if len(allowed) < count:
        raise UserError(
            f"an image has only {len(allowed)} other images to draw {count} from; "
            "lower baselines.rib.other_images or raise baselines.rib.pool"
        )
    order = allowed[np.lexsort((rng.random(len(allowed)), overlap[allowed]))]
    return rng.permutation(order[: max(candidates, count)])[:count]


def counted_labels(rows: np.ndarray, own: np.ndarray) -> Tensor:
    """Labels of other images, with the classes that the image itself has, or may have, marked as SHARED.

    Args:
        rows: states of B images (`class_states`), [B, K].
        own: states of the image itself, [K].
    Returns: float [B, K]; SHARED also where nobody says whether the other image has the class.
    """
    labels = np.where(rows > 0, np.where(own != 0, SHARED, PRESENT), np.where(rows < 0, SHARED, ABSENT))
    return torch.from_numpy(labels.astype(np.float32))


def class_states(images: Sequence[LabelledImage], count: int) -> np.ndarray:
    """Return of n images and `count` classes 1 for present, 0 for absent and -1 for unknown, int8 [n, count]."""
    return present_classes(images, count).astype(np.int8) - unknown_classes(images, count)


def overlaps(states: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return how many classes n images have in common with an image, or may have, int32 [n].

    Args:
        states: of the n images (`class_states`), [n, K].
        own: of the image, [K].
    """
    agreeing: np.ndarray = (states != 0).astype(np.int32) @ (own != 0).astype(np.int32)
    return agreeing


def image_rng(seed: int, name: str, iteration: int) -> np.random.Generator:
    """Randomness of one iteration of one image, whichever job makes it."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, TAG, key, iteration])


@dataclass(frozen=True)
class FreshCrops:
    """Other images drawn from all of a label set and cropped anew at every iteration (exact tier).

    Attributes:
        data: folder of the prepared dataset.
        labels: all images with their image-level labels.
        augmentation: of the crops, that of the classifier's training.
        count, candidates: see `draw_rows`.
        seed: of the draws.
        constant: the classifier's constant part, on `device`.
    """

    data: Path
    labels: LabelSet
    augmentation: NetworkSettings
    count: int
    candidates: int
    seed: int
    constant: nn.Module
    device: torch.device

    @cached_property
    def matrix(self) -> np.ndarray:
        """Image-level labels of all images, one row each (`class_states`), int8 [n, K]."""
        return class_states(self.labels.images, len(self.labels.classes))

    @cached_property
    def positions(self) -> dict[str, int]:
        """Row of each image, by its name."""
        return {image.name: position for position, image in enumerate(self.labels.images)}

    @torch.no_grad()
    def draw(self, image: LabelledImage, iteration: int) -> tuple[Tensor, Tensor]:
        """Return the constant part's features [B, C, h, w] of other images, and their labels [B, K]."""
        rng = image_rng(self.seed, image.name, iteration)
        own = self.matrix[self.positions[image.name]]
        overlap = overlaps(self.matrix, own)
        overlap[self.positions[image.name]] = -1
        rows = draw_rows(overlap, self.count, self.candidates, rng)
        others = (self.labels.images[row] for row in rows)
        crops = [placed_crop(read_photograph(self.data, o), None, self.augmentation, rng)[0] for o in others]
        features = self.constant(network_input(crops, self.device))
        return features, counted_labels(self.matrix[rows], own).to(self.device)


class Pool:
    """Crops of other images kept as features: a function of seed and label set, so that every shard has the same.

    Its size is crops x 2 bytes x the elements of a crop's features, e.g. 2 MB per 512-pixel crop of ResNet-50's third
    stage.

    Args:
        fresh: what the crops are taken from, and how they are drawn.
        size: number of crops; more than images means several of each.
    """

    def __init__(self, fresh: FreshCrops, size: int) -> None:
        self.fresh = fresh
        crops = Crops(fresh.data, fresh.labels, fresh.augmentation, fresh.seed)
        names, features = [], []
        with torch.no_grad():
            for first in range(0, size, BATCH):
                samples = [crops[position] for position in range(first, min(first + BATCH, size))]
                names += [sample.name for sample in samples]
                views = network_input([sample.crop for sample in samples], fresh.device)
                features.append(fresh.constant(views).half())
        self.names = np.array(names)
        self.matrix = fresh.matrix[[fresh.positions[name] for name in names]]
        self.features = torch.cat(features)

    def draw(self, image: LabelledImage, iteration: int) -> tuple[Tensor, Tensor]:
        """Return the constant part's features [B, C, h, w] of other images, and their labels [B, K]."""
        fresh, rng = self.fresh, image_rng(self.fresh.seed, image.name, iteration)
        own = class_states([image], len(fresh.labels.classes))[0]
        overlap = overlaps(self.matrix, own)
        overlap[self.names == image.name] = -1
        rows = draw_rows(overlap, fresh.count, fresh.candidates, rng)
        features = self.features[torch.from_numpy(rows).to(fresh.device)].float()
        return features, counted_labels(self.matrix[rows], own).to(fresh.device)
