"""Resizing, cropping, jitter, flip and padding of an image and its label map (Appendix A3, MaskFormer recipe).

Images are uint8 RGB [H, W, 3], label maps uint8 [H, W]. All randomness comes from the given generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simformer.config.settings import IGNORE, AugmentSettings

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
PAD_VALUE = 128
"""Raw value of padded image pixels in training, before normalisation."""

cv2.setNumThreads(0)


@dataclass(frozen=True)
class Crop:
    """A padded training crop: image uint8 [3, S, S], label map uint8 [S, S], padding bool [S, S].

    `kept` is the share of the image's not-base pixels that it keeps; 0 if the image has none.
    """

    image: Tensor
    label_map: Tensor
    padding: Tensor
    kept: float = 1.0


def normalise(images: Tensor) -> Tensor:
    """Turn raw RGB images [B, 3, H, W] in 0..255 into network input with ImageNet mean and deviation.

    The constants stay numbers: as tensors they would be copied to the device each time, for which the host waits.
    """
    result = images.to(torch.float32, copy=True)
    for channel, mean, deviation in zip(result.unbind(-3), PIXEL_MEAN, PIXEL_STD, strict=True):
        channel.sub_(mean).div_(deviation)
    return result


def resized_shape(height: int, width: int, short_edge: int, max_long_edge: int) -> tuple[int, int]:
    """Size after resizing the shorter side to `short_edge` with the longer side at most `max_long_edge`; at least 1."""
    scale = short_edge / min(height, width)
    if max(height, width) * scale > max_long_edge:
        scale = max_long_edge / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize_image(
    image: np.ndarray, height: int, width: int, method: Image.Resampling = Image.Resampling.BILINEAR
) -> np.ndarray:
    """Resize an image with anti-aliased interpolation (Pillow): uint8 [H, W, 3] to [height, width, 3]."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), method))


def resize_label(label_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a label map with floor-nearest: source index = floor(target index * in / out).

    Args:
        label_map: class ids, uint8 [H, W].
        height, width: of the result, pixels.
    """
    rows = np.arange(height) * label_map.shape[0] // height
    columns = np.arange(width) * label_map.shape[1] // width
    resized: np.ndarray = label_map[rows[:, None], columns]
    return resized


def augment(
    image: np.ndarray,
    label_map: np.ndarray,
    settings: AugmentSettings,
    rng: np.random.Generator,
    *,
    any_crop: bool,
    hidden: tuple[int, ...] = (),
) -> Crop:
    """Resize, crop, jitter, flip and pad one training image.

    Args:
        image: uint8 RGB [H, W, 3].
        label_map: uint8 [H, W], IGNORE where nothing is labelled.
        settings: sizes and switches.
        rng: source of all randomness.
        any_crop: True if the image has labels that no crop can lose (image-level ones); otherwise crops
            without a single labelled pixel are drawn again, up to `settings.crop_tries` times; then the last
            one is taken (it has no target, which every loss allows).
        hidden: ids in the label map that count as not base, as IGNORE does.
    Returns: the crop, of side `settings.crop`.
    """
    for _ in range(settings.crop_tries):
        shape, window = _choose_crop(label_map.shape, settings, rng)
        whole = resize_label(label_map, *shape)
        labels = whole[window]
        if any_crop or (labels != IGNORE).any():
            break
    cropped = resize_image(image, *shape)[window]
    if settings.color_jitter:
        cropped = color_jitter(cropped, rng)
    if settings.flip and rng.random() < 0.5:
        cropped, labels = cropped[:, ::-1], labels[:, ::-1]
    inside, outside = (sum(np.count_nonzero(part == i) for i in (IGNORE, *hidden)) for part in (labels, whole))
    return placed_in_crop(cropped, labels, settings.crop, kept=inside / max(1, outside))


def _choose_crop(
    size: tuple[int, int], settings: AugmentSettings, rng: np.random.Generator
) -> tuple[tuple[int, int], tuple[slice, slice]]:
    """Draw the size to resize to and the window to crop from it."""
    short_edge = int(rng.choice(settings.short_edges))
    height, width = resized_shape(*size, short_edge, settings.max_long_edge)
    crop_height, crop_width = min(settings.crop, height), min(settings.crop, width)
    top = int(rng.integers(height - crop_height + 1))
    left = int(rng.integers(width - crop_width + 1))
    return (height, width), np.s_[top : top + crop_height, left : left + crop_width]


def color_jitter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """SSD colour jitter on an RGB image, uint8 [H, W, 3]: brightness, contrast, saturation, hue, each half of the time.

    Contrast comes before saturation and hue, or after them, with equal probability; every step clips to
    0..255 and truncates to uint8. Saturation and hue are those of OpenCV's 8-bit HSV (hue 0..179).
    """
    if rng.random() < 0.5:
        image = _clip(image + rng.uniform(-32, 32))
    contrast_first = rng.random() < 0.5
    if contrast_first:
        image = _contrast(image, rng)
    if rng.random() < 0.5:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 1] = _clip(hsv[..., 1] * rng.uniform(0.5, 1.5))
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    if rng.random() < 0.5:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + rng.integers(-18, 19)) % 180
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return image if contrast_first else _contrast(image, rng)


def _contrast(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _clip(image * rng.uniform(0.5, 1.5)) if rng.random() < 0.5 else image


def _clip(values: np.ndarray) -> np.ndarray:
    clipped: np.ndarray = np.clip(values, 0, 255).astype(np.uint8)
    return clipped


def placed_in_crop(
    image: np.ndarray, label_map: np.ndarray, side: int, top: int = 0, left: int = 0, kept: float = 1.0
) -> Crop:
    """Place an image, uint8 [H, W, 3], and its label map in an empty crop of a side, from a pixel (top, left) on."""
    place = np.s_[top : top + label_map.shape[0], left : left + label_map.shape[1]]
    padded = torch.full((3, side, side), PAD_VALUE, dtype=torch.uint8)
    padded[:, *place] = torch.from_numpy(image.transpose(2, 0, 1).copy())
    labels = torch.full((side, side), IGNORE, dtype=torch.uint8)
    labels[place] = torch.from_numpy(label_map.copy())
    padding = torch.ones(side, side, dtype=torch.bool)
    padding[place] = False
    return Crop(padded, labels, padding, kept)
