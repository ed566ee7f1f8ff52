"""Class activation maps over several scales and their mirror images (PSA, IRN)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.settings import CamSettings
from simformer.data.checked import Photograph, read_photograph
from simformer.data.labels import LabelledImage, present_classes
from simformer.data.transforms import normalise, resize_image, resized_shape

GRID_STRIDE = 4
"""Pixels per cell of the maps."""
EPSILON = 1e-5

Response = Callable[[Tensor, Tensor], Tensor]
"""(normalised images [B, 3, H, W], image-level labels bool [B, K]) -> raw class maps [B, K, h, w]."""


def inference_size(height: int, width: int, settings: CamSettings) -> tuple[int, int]:
    """Size at which an image is inferred (scale 1), pixels."""
    short_edge = min(height, width) if settings.short_edge is None else settings.short_edge
    return resized_shape(height, width, short_edge, settings.max_long_edge)


def pixels_of(data: Path, image: Photograph, size: tuple[int, int]) -> Tensor:
    """Read an image at a size, uint8 [3, H, W]."""
    return torch.from_numpy(resized(data, image, size).transpose(2, 0, 1).copy())


def resized(data: Path, image: Photograph, size: tuple[int, int]) -> np.ndarray:
    """Read an image at a size, uint8 [H, W, 3]."""
    return resize_image(read_photograph(data, image), *size, Image.Resampling.BICUBIC)


def summed_maps(
    response: Response, images: Sequence[np.ndarray], present: Tensor, scales: Sequence[float], device: torch.device
) -> Tensor:
    """Sum the rectified maps of all scales and mirror images, on a grid of stride 4, not yet normalised.

    Args:
        response: raw maps of a batch.
        images: raw RGB, uint8 [H, W, 3] each, all of one size.
        present: image-level labels, bool [B, K].
        scales: factors of the images' size.
        device: of the network.
    Returns: sum over s of ReLU(A(x_s)) + mirrored ReLU(A(mirrored x_s)), [B, K, ceil(H / 4), ceil(W / 4)].
    """
    height, width = images[0].shape[:2]
    grid = math.ceil(height / GRID_STRIDE), math.ceil(width / GRID_STRIDE)
    total = torch.zeros((), device=device)
    for scale in scales:
        maps = response(mirrored_views(images, scale, device), torch.cat([present, present]).to(device)).relu()
        plain, mirrored = maps.chunk(2)
        total = total + F.interpolate(plain + mirrored.flip(-1), size=grid, mode="bilinear", align_corners=False)
    return total


def mirrored_views(images: Sequence[np.ndarray], scale: float, device: torch.device) -> Tensor:
    """Resize images of one size, uint8 [H, W, 3]; returns them normalised, then mirrored, [2 B, 3, s H, s W]."""
    height, width = (max(1, round(side * scale)) for side in images[0].shape[:2])
    resized = np.stack([resize_image(image, height, width, Image.Resampling.BICUBIC) for image in images])
    view = normalise(torch.from_numpy(resized.transpose(0, 3, 1, 2).copy()).to(device))
    return torch.cat([view, view.flip(-1)])


def divide_by_maximum(maps: Tensor) -> Tensor:
    """Divide each map by its maximum over the image: [..., h, w] to values in [0, 1)."""
    return maps / (maps.amax(dim=(-2, -1), keepdim=True) + EPSILON)


@torch.inference_mode()
def class_activation_maps(
    response: Response,
    data: Path,
    images: Sequence[LabelledImage],
    num_classes: int,
    settings: CamSettings,
    device: torch.device,
    normalised: Callable[[Tensor], Tensor] = divide_by_maximum,
) -> Iterator[tuple[LabelledImage, ClassMaps]]:
    """Yield the maps of each image's classes, batching images of equal size.

    Args:
        response: raw maps of a batch, of a network in eval mode on `device`.
        data: folder of the prepared dataset.
        images: with their image-level labels; a class that is not among them has no map.
        num_classes: K.
        settings: sizes and scales.
        device: of the network.
        normalised: from the summed maps of one image's classes [P, h, w] to scores.
    """
    for batch in equal_sizes(images, settings.batch_images):
        size = inference_size(batch[0].height, batch[0].width, settings)
        pixels = [resized(data, image, size) for image in batch]
        present = torch.from_numpy(present_classes(batch, num_classes))
        summed = summed_maps(response, pixels, present, settings.scales, device)
        for image, maps in zip(batch, summed, strict=True):
            scores = normalised(maps[list(image.classes)]).cpu()
            yield image, ClassMaps(image.classes, scores, GRID_STRIDE, size)


def equal_sizes(images: Sequence[LabelledImage], count: int) -> Iterator[list[LabelledImage]]:
    """Yield all images in batches of at most `count` that have one size."""
    by_size: dict[tuple[int, int], list[LabelledImage]] = defaultdict(list)
    for image in images:
        by_size[image.height, image.width].append(image)
    for alike in by_size.values():
        for first in range(0, len(alike), count):
            yield alike[first : first + count]
