"""From proposals to one class per pixel: the class-weighted sum of mask proposals (Sec. 3.2, MaskFormer)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.config.settings import InferenceSettings
from simformer.data.checked import read_photograph_file
from simformer.data.index import ImageRecord
from simformer.data.labels import LabelledImage
from simformer.data.transforms import normalise, resize_image, resized_shape
from simformer.models.maskformer import MaskFormer

SIZE_DIVISOR = 32
"""Network input is padded to a multiple of this, with zeros after normalisation."""


RESIZED_BYTES = 2**28
"""Memory for scores at the size of a photograph: `best_classes` takes as many classes at a time as fit into it."""
AVERAGED_BYTES = 2**31
"""The same where scores of several views are averaged, which are computed again for each part of the classes."""


@dataclass(frozen=True)
class ImageFile:
    """An image to infer: path, size in pixels, and the checksum of its file."""

    path: Path
    height: int
    width: int
    sha256: str

    @classmethod
    def of(cls, data: Path, image: ImageRecord | LabelledImage) -> ImageFile:
        """Return the image of a record, in the folder of its dataset."""
        return cls(data / image.image, image.height, image.width, image.image_sha256)

    def read(self) -> np.ndarray:
        """Read the image, uint8 [H, W, 3]; raises UserError if it is not the one that was audited."""
        return read_photograph_file(self.path, self.sha256)


def fuse(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """Score of every class at every pixel: sum over queries of class probability x mask probability.

    Args:
        class_logits: [B, N, K + 1], last column 'no object'.
        mask_logits: [B, N, H, W].
    Returns: scores >= 0, [B, K, H, W]; 'no object' is dropped after the softmax, nothing is thresholded.
    """
    probability = class_logits.float().softmax(dim=-1)[..., :-1]
    return torch.einsum("bnk,bnhw->bkhw", probability, mask_logits.float().sigmoid())


@torch.inference_mode()
def class_scores(model: MaskFormer, images: Tensor, size: tuple[int, int]) -> Tensor:
    """Infer a batch of raw images and resize the scores.

    Args:
        model: network in eval mode.
        images: raw RGB, uint8 [B, 3, H, W], on the network's device.
        size: (height, width) of the result.
    Returns: class scores, [B, K, *size]: masks are upsampled to the padded input, fused, cropped, resized.
    """
    return _resized(_scores(model, images), size)


@torch.inference_mode()
def best_classes(model: MaskFormer, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Infer a batch of raw images: the class of the highest score at every pixel, and that score.

    The scores are those of `class_scores`, but only some classes at a time have the size of the result, so that a large
    photograph with many classes fits into the memory.

    Args:
        model, images, size: see `class_scores`.
    Returns: class ids, uint8 [B, *size], of equal scores the lowest; scores >= 0, float32 [B, *size].
    """
    parts = _scores(model, images).split(_fitting(RESIZED_BYTES, len(images), size), dim=1)
    return _best(_resized(part, size) for part in parts)


def _fitting(memory: int, count: int, size: tuple[int, int]) -> int:
    """Return how many classes' scores of so many images of a size fit into some memory, at least one."""
    return max(1, memory // (4 * count * size[0] * size[1]))


@torch.inference_mode()
def _best(parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return class and score of the highest score at every pixel; the parts [B, k, H, W] hold the classes in order."""
    left = iter(parts)
    part = next(left)
    best, places = part.max(dim=1)
    ids, first = places.to(torch.uint8), part.shape[1]
    for part in left:
        highest, places = part.max(dim=1)
        better = highest > best
        best = torch.where(better, highest, best)  # not best[better]: a GPU would have to say how many there are
        ids = torch.where(better, places.add_(first).to(torch.uint8), ids)
        first += part.shape[1]
    return ids, best


def _scores(model: MaskFormer, images: Tensor) -> Tensor:
    """Class scores of raw images at the size of the network's input, [B, K, h, w]."""
    height, width = images.shape[-2:]
    return fuse(*_padded_logits(model, images))[..., :height, :width]


def _deferred_scores(model: MaskFormer, images: Tensor) -> Callable[[], Tensor]:
    """Run the network on raw images, and return what computes `_scores` from its small masks, as often as asked."""
    height, width = images.shape[-2:]
    padded = _padded(images)
    output = model(padded)
    classes, masks, shape = output.class_logits[-1], output.mask_logits[-1], padded.shape[-2:]
    return lambda: fuse(classes, _upsampled(masks, shape))[..., :height, :width]


def _resized(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize scores, [B, K, h, w], to [B, K, *size]."""
    if scores.shape[-2:] == tuple(size):
        return scores
    return F.interpolate(scores, size=size, mode="bilinear", align_corners=False)


@torch.inference_mode()
def proposals(model: MaskFormer, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Infer a batch of raw images and return what `class_scores` fuses.

    Args:
        model, images, size: see `class_scores`.
    Returns: class probabilities, the last 'no object', [B, N, K + 1]; mask probabilities, [B, N, *size].
    """
    height, width = images.shape[-2:]
    class_logits, mask_logits = _padded_logits(model, images)
    masks = mask_logits.sigmoid()[..., :height, :width]
    if (height, width) != tuple(size):
        masks = F.interpolate(masks, size=size, mode="bilinear", align_corners=False)
    return class_logits.float().softmax(dim=-1), masks


def _padded_logits(model: MaskFormer, images: Tensor) -> tuple[Tensor, Tensor]:
    """Class logits [B, N, K + 1] and mask logits [B, N, H, W] of raw images; H and W are those of the padded input."""
    return final_logits(model, _padded(images))


def _padded(images: Tensor) -> Tensor:
    """Normalise raw images and pad them to a multiple of SIZE_DIVISOR."""
    height, width = images.shape[-2:]
    return F.pad(normalise(images), (0, -width % SIZE_DIVISOR, 0, -height % SIZE_DIVISOR))


def final_logits(model: MaskFormer, padded: Tensor) -> tuple[Tensor, Tensor]:
    """Class logits [B, N, K + 1] and mask logits [B, N, H, W] of normalised and padded images, [B, 3, H, W]."""
    output = model(padded)
    return output.class_logits[-1], _upsampled(output.mask_logits[-1], padded.shape[-2:])


def _upsampled(mask_logits: Tensor, size: Sequence[int]) -> Tensor:
    """Bring mask logits, [B, N, h, w], to the size of the padded input."""
    return F.interpolate(mask_logits.float(), size=tuple(size), mode="bilinear", align_corners=False)


def network_input(image: ImageFile, settings: InferenceSettings, device: torch.device) -> Tensor:
    """Read one image at the network's test-time size, raw RGB, uint8 [1, 3, h, w]."""
    return network_inputs([image.read()], settings, device)


def network_inputs(images: Sequence[np.ndarray], settings: InferenceSettings, device: torch.device) -> Tensor:
    """Bring B images of one size, uint8 [H, W, 3], to the network's test-time size, raw RGB, uint8 [B, 3, h, w]."""
    height, width = images[0].shape[:2]
    shape = resized_shape(height, width, settings.short_edge, settings.max_long_edge)
    return _stack([resize_image(image, *shape) for image in images], device)


def predict(
    model: MaskFormer,
    images: Sequence[ImageFile],
    settings: InferenceSettings,
    device: torch.device,
    *,
    average_short_edges: Sequence[int] = (),
) -> Iterator[tuple[int, np.ndarray]]:
    """Predict the class of every pixel, batching images of equal size.

    Args:
        model: network in eval mode on `device`.
        images: what to infer.
        settings: test-time sizes.
        device: of the network.
        average_short_edges: shorter sides whose scores are averaged, plain and flipped; empty: one plain pass.
    Yields: (position in `images`, class ids uint8 [H, W] at the original size), in order of size.
    """
    for batch, resized, size in _read(images, settings):
        ids, _ = _best(_parts(model, resized, size, average_short_edges, settings, device))
        yield from zip(batch, ids.cpu().numpy(), strict=True)


@torch.inference_mode()
def image_scores(
    model: MaskFormer,
    images: Sequence[ImageFile],
    wanted: Callable[[int], Sequence[int]],
    settings: InferenceSettings,
    device: torch.device,
    average_short_edges: Sequence[int] = (),
) -> Iterator[tuple[int, Tensor]]:
    """Score some classes of each image at every pixel, batching images of equal size.

    Args:
        model, images, settings, device, average_short_edges: see `predict`.
        wanted: ids of the k classes that are scored in the image of a position, ascending.
    Yields: (position in `images`, scores of its classes [k, H, W] at the original size), in order of size.
    """
    for batch, resized, size in _read(images, settings):
        own_classes = [wanted(position) for position in batch]
        classes = sorted({k for ids in own_classes for k in ids})
        kept: list[list[Tensor]] = [[torch.zeros(0, *size, device=device)] for _ in batch]
        first = 0
        for part in _parts(model, resized, size, average_short_edges, settings, device, classes) if classes else ():
            ids = classes[first : first + part.shape[1]]
            for own, chosen, scores in zip(kept, own_classes, part, strict=True):
                own.append(scores[[ids.index(k) for k in chosen if k in ids]])
            first += part.shape[1]
        yield from ((position, torch.cat(own)) for own, position in zip(kept, batch, strict=True))


@torch.inference_mode()
def _parts(
    model: MaskFormer,
    images: list[np.ndarray],
    size: tuple[int, int],
    short_edges: Sequence[int],
    settings: InferenceSettings,
    device: torch.device,
    classes: Sequence[int] | None = None,
) -> Iterator[Tensor]:
    """Yield the scores of some classes, or of all, a few at a time in their order, [B, k, *size] each."""
    if short_edges:
        yield from _averaged(model, images, size, short_edges, settings, device, classes)
        return
    scores = _chosen(_scores(model, _stack(images, device)), classes)
    for part in scores.split(_fitting(RESIZED_BYTES, len(images), size), dim=1):
        yield _resized(part, size)


def _chosen(scores: Tensor, classes: Sequence[int] | None) -> Tensor:
    """Return the scores of some classes, or of all, [B, k, h, w]."""
    return scores if classes is None else scores[:, list(classes)]


@torch.inference_mode()
def _averaged(
    model: MaskFormer,
    images: list[np.ndarray],
    size: tuple[int, int],
    short_edges: Sequence[int],
    settings: InferenceSettings,
    device: torch.device,
    classes: Sequence[int] | None,
) -> Iterator[Tensor]:
    """Average the scores of several sizes, plain and flipped, of some classes or of all; see `_parts`.

    The network runs once for every view. For each part of the classes its masks are fused again, since the scores of
    all views would need more memory than their sum.
    """
    views: list[Callable[[], Tensor]] = []
    height, width = images[0].shape[:2]
    for short_edge in short_edges:
        shape = resized_shape(height, width, short_edge, settings.pseudo_max_long_edge)
        view = _stack([resize_image(image, *shape) for image in images], device)
        views += [_deferred_scores(model, view), _deferred_scores(model, view.flip(-1))]
    first, count, fitting = 0, None, _fitting(AVERAGED_BYTES, len(images), size)
    while count is None or first < count:
        total = torch.zeros((), device=device)
        for number, view_scores in enumerate(views):
            scores = _chosen(view_scores(), classes)
            count = scores.shape[1]
            part = _resized(scores[:, first : first + fitting], size)
            total = total + (part.flip(-1) if number % 2 else part)
        yield total / len(views)
        first += total.shape[1]


def _batches(images: Sequence[ImageFile], size: int) -> Iterator[list[int]]:
    by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
    for position, image in enumerate(images):
        by_shape[image.height, image.width].append(position)
    for positions in by_shape.values():
        for first in range(0, len(positions), size):
            yield positions[first : first + size]


def _read(
    images: Sequence[ImageFile], settings: InferenceSettings
) -> Iterator[tuple[list[int], list[np.ndarray], tuple[int, int]]]:
    """Yield batches of images at test size: positions, images, and their original size."""
    for batch in _batches(images, settings.batch_images):
        size = (images[batch[0]].height, images[batch[0]].width)
        shape = resized_shape(*size, settings.short_edge, settings.max_long_edge)
        yield batch, [resize_image(images[i].read(), *shape) for i in batch], size


def _stack(images: list[np.ndarray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy()).to(device)
