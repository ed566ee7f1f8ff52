"""Training crops of the baselines' networks: item n is a pure function of (seed, n), so that resuming is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from simformer.baselines.settings import NetworkSettings
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map, read_photograph
from simformer.data.labels import LabelSet, present_classes, unknown_classes
from simformer.data.loader import nth_image
from simformer.data.transforms import Crop, color_jitter, normalise, placed_in_crop, resize_image, resize_label
from simformer.machine.copies import send


@dataclass(frozen=True)
class Placement:
    """Where a crop lies in its image: crop pixel (r, c) is pixel (r + top, c + left) of the resized image.

    Attributes:
        height, width: of the image after resizing.
        top, left: offset; negative where a smaller image lies inside the crop.
        flipped: whether the resized image was mirrored before the crop was taken.
    """

    height: int
    width: int
    top: int
    left: int
    flipped: bool


@dataclass(frozen=True)
class Sample:
    """One training crop.

    Attributes:
        crop: image, label map (IGNORE where the label set has none) and padding.
        present: image-level labels of the whole image, bool [K].
        name: of the image, for messages.
        placement: where the crop lies in the image.
        unknown: classes of which nobody says whether the image shows them, bool [K]; None if there are none.
    """

    crop: Crop
    present: Tensor
    name: str
    placement: Placement
    unknown: Tensor | None = None


class Crops(Dataset[Sample]):
    """Endless sequence of crops: fresh permutations of the images, one after the other.

    Args:
        data: folder of the prepared dataset (images only are read from it).
        labels: images with image-level labels, and label maps unless it is a set without any (`image_labels`).
        settings: size and augmentation.
        seed: training seed.
    """

    def __init__(self, data: Path, labels: LabelSet, settings: NetworkSettings, seed: int) -> None:
        self.data = data
        self.labels = labels
        self.settings = settings
        self.seed = seed

    def __getitem__(self, position: int) -> Sample:
        image = self.labels.images[nth_image(self.seed, position, len(self.labels.images))]
        pixels = read_photograph(self.data, image)
        label_map = read_label_map(self.labels, image) if image.label else None
        count = len(self.labels.classes)
        present = torch.from_numpy(present_classes([image], count)[0])
        unknown = torch.from_numpy(unknown_classes([image], count)[0]) if image.unknown else None
        rng = np.random.default_rng([self.seed, 3, position])
        crop, placement = placed_crop(pixels, label_map, self.settings, rng)
        return Sample(crop, present, image.name, placement, unknown)


def network_input(crops: Sequence[Crop], device: torch.device) -> Tensor:
    """Return normalised images whose padding is 0, float [B, 3, S, S]."""
    images = send(torch.stack([crop.image for crop in crops]), device)
    padding = send(torch.stack([crop.padding for crop in crops]), device)
    return normalise(images).masked_fill(padding[:, None], 0.0)


def placed_crop(
    image: np.ndarray, label_map: np.ndarray | None, settings: NetworkSettings, rng: np.random.Generator
) -> tuple[Crop, Placement]:
    """Resize, jitter, flip, crop and pad one training image at random.

    Args:
        image: uint8 RGB [H, W, 3].
        label_map: uint8 [H, W], None for one that is IGNORE everywhere.
        settings: size and augmentation.
        rng: source of all randomness.
    Returns: the crop, of side `settings.crop` (a smaller image lies anywhere in it), and where it lies in the image.
    """
    factor = rng.uniform(*settings.scales)
    if settings.long_edges is not None:
        lowest, highest = settings.long_edges
        factor *= rng.integers(lowest, highest + 1) / max(image.shape[:2])
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    pixels = resize_image(image, height, width, Image.Resampling.BICUBIC)
    labels = np.full((height, width), IGNORE, np.uint8) if label_map is None else resize_label(label_map, height, width)
    if settings.color_jitter:
        pixels = color_jitter(pixels, rng)
    flipped = rng.random() < 0.5
    if flipped:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    rows, columns = (_window(size, settings.crop, rng) for size in (height, width))
    window = rows[0], columns[0]
    crop = placed_in_crop(pixels[window], labels[window], settings.crop, rows[1].start, columns[1].start)
    top, left = (taken.start - placed.start for taken, placed in (rows, columns))
    return crop, Placement(height, width, top, left, flipped)


def _window(size: int, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw which part of an axis is taken, and where it lies in the crop."""
    start = int(rng.integers(abs(size - side) + 1))
    moving, still = slice(start, start + min(size, side)), slice(0, min(size, side))
    return (moving, still) if size >= side else (still, moving)
