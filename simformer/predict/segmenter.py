"""A trained model in Python: `simformer.load("model.safetensors").predict("photo.jpg")`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image

from simformer.build import TrainedModel, load_model
from simformer.config.layers import parse
from simformer.config.settings import IGNORE, InferenceSettings
from simformer.data.identity import require_groups
from simformer.data.images import read_image
from simformer.data.pixels import to_rgb, turn_upright
from simformer.data.splits import Split
from simformer.errors import UserError, did_you_mean
from simformer.inference import best_classes, network_inputs
from simformer.machine.devices import choose_device
from simformer.predict.prediction import Prediction, SegmentedClass

Picture = str | PathLike[str] | NDArray[np.uint8] | Image.Image
"""What is predicted: a file; RGB, uint8 [H, W, 3]; gray, uint8 [H, W]; a picture of Pillow."""


@dataclass(frozen=True)
class Segmenter:
    """A trained model that is ready to predict.

    Attributes:
        trained: the networks and what their file says of them.
        classes: the K classes in id order.
        inference: test-time sizes.
        device: of the networks.
    """

    trained: TrainedModel
    classes: tuple[SegmentedClass, ...]
    inference: InferenceSettings
    device: torch.device

    @property
    def training(self) -> dict[str, Any]:
        """How the model was trained: run (hash of its settings), method, dataset, split, seed, steps."""
        config = self.trained.config
        names = {name: getattr(config, name) for name in ("method", "dataset", "split", "seed")}
        return {"run": config.hash} | names | {"steps": config.settings.optim.steps}

    def predict(
        self, image: Picture, *, threshold: float = 0.0, classes: Sequence[str | int] | None = None
    ) -> Prediction:
        """Predict the class of every pixel of one image.

        Args:
            image: see Picture. Files are turned upright as their EXIF orientation says.
            threshold: pixels whose score is below it get IGNORE (255).
            classes: names or ids of the classes to keep; pixels of all others get IGNORE. None: all.
        Returns: the prediction at the image's own size.
        Raises: UserError if the image cannot be read, a class is unknown, or the threshold is no number from 0 up.
        """
        return next(self.stream([image], threshold=threshold, classes=classes))

    def stream(
        self,
        images: Iterable[Picture],
        *,
        batch: int = 1,
        threshold: float = 0.0,
        classes: Sequence[str | int] | None = None,
    ) -> Iterator[Prediction]:
        """Predict many images one after the other, in their order; what is read and predicted is not kept.

        Args:
            images: see Picture.
            batch: images of equal size that follow each other and are predicted together, at most.
            threshold, classes: see `predict`.
        Returns: one prediction per image.
        Raises: UserError as `predict`, and at once for a value that cannot be meant.
        """
        if isinstance(images, str | PathLike):
            raise UserError(f"'{images}': one name; expected a list of pictures, or call `predict` with it")
        if isinstance(classes, str):
            raise UserError(f"classes: found '{classes}'; expected a list, e.g. ['{classes}']")
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise UserError(f"batch: found {batch!r}; expected a whole number from 1 up")
        if isinstance(threshold, bool) or not isinstance(threshold, Real) or not 0 <= threshold < math.inf:
            raise UserError(f"threshold: found {threshold!r}; expected a number from 0 up")
        kept = [c.id for c in self.classes] if classes is None else [self._id(name) for name in classes]
        return self._stream(images, batch, float(threshold), kept)

    def _stream(self, images: Iterable[Picture], batch: int, threshold: float, kept: list[int]) -> Iterator[Prediction]:
        waiting: list[NDArray[np.uint8]] = []
        for image in images:
            pixels = as_rgb(image)
            if waiting and pixels.shape != waiting[0].shape:
                yield from self._predict(waiting, threshold, kept)
                waiting = []
            waiting.append(pixels)
            if len(waiting) == batch:
                yield from self._predict(waiting, threshold, kept)
                waiting = []
        if waiting:
            yield from self._predict(waiting, threshold, kept)

    def _predict(self, images: list[NDArray[np.uint8]], threshold: float, kept: list[int]) -> Iterator[Prediction]:
        inputs = network_inputs(images, self.inference, self.device)
        ids, scores = best_classes(self.trained.model, inputs, images[0].shape[:2])
        shown = np.full(IGNORE + 1, IGNORE, np.uint8)
        shown[kept] = kept
        for image, best, score in zip(images, ids.cpu().numpy(), scores.cpu().numpy(), strict=True):
            shown_ids = shown[best]
            shown_ids[score < threshold] = IGNORE
            yield Prediction(image, shown_ids, score, self.classes)

    def _id(self, name: str | int) -> int:
        """Return the id of a class that is given by name or id."""
        found = [c.id for c in self.classes if name in (c.name, c.id)]
        if not found:
            names = [c.name for c in self.classes]
            hint = did_you_mean(str(name), names) or f"; it has: {', '.join(names)}"
            raise UserError(f"the model has no class '{name}'{hint}")
        return found[0]


def load(
    path: str | PathLike[str],
    device: str | torch.device = "auto",
    *,
    split: str | PathLike[str] | None = None,
    short_edge: int | None = None,
    max_long_edge: int | None = None,
) -> Segmenter:
    """Load a trained model.

    Args:
        path: a model.safetensors of `simformer train` or `simformer import_weights`.
        device: 'auto' (a GPU if there is one, else the CPU), or one that `--device` or PyTorch knows. A process takes
            one GPU and keeps it for all models that it loads.
        split: a split.yaml that says which classes are novel, for a model that does not say so itself (imported
            weights) or that saw all masks (FullyOracle).
        short_edge, max_long_edge: test-time size, pixels; the default is what the file says.
    Raises: UserError if the file is no model, the split is another one's, or the file does not say its test size and
        none is given.
    """
    where = Path(path)
    trained = load_model(where, _device(device) if isinstance(device, str) else device)
    novel = trained.identity.hidden
    if split is not None:
        groups = Split.load(Path(split))
        require_groups(trained.identity, groups)
        novel = groups.novel
    assert trained.colours is not None, "`load_model` sets them"
    classes = tuple(
        SegmentedClass(k, name, None if novel is None else ("novel" if k in novel else "base"), (red, green, blue))
        for k, (name, (red, green, blue)) in enumerate(zip(trained.classes, trained.colours.tolist(), strict=True))
    )
    place = next(trained.model.parameters()).device
    return Segmenter(trained, classes, _sizes(where, trained, short_edge, max_long_edge), place)


def _sizes(path: Path, trained: TrainedModel, short_edge: int | None, max_long_edge: int | None) -> InferenceSettings:
    """Return the test-time sizes: given ones, else those of the file."""
    given = {"short_edge": short_edge, "max_long_edge": max_long_edge}
    told = {} if trained.inference is None else {name: getattr(trained.inference, name) for name in given}
    sizes = told | {name: value for name, value in given.items() if value is not None}
    if len(sizes) < len(given):
        raise UserError(
            f"{path}: does not say at which size images are predicted (it is of an older version, or imported without "
            "--inference); give the sizes of its dataset's file (config/datasets/, key `inference`), e.g. "
            "--short-edge 640 --max-long-edge 2560 (in Python: short_edge=640, max_long_edge=2560)"
        )
    return parse(InferenceSettings, sizes, "test-time size")


@cache
def _device(wanted: str) -> torch.device:
    """Return the device of this process; a GPU is leased once, however many models are loaded."""
    return choose_device(wanted, option=False)


def as_rgb(image: Picture) -> NDArray[np.uint8]:
    """Return a picture as RGB, uint8 [H, W, 3], upright; UserError if it cannot be read or is of another kind."""
    if isinstance(image, str | PathLike):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return turn_upright(to_rgb(image, 8, "the picture"), orientation)
    pixels = np.asarray(image)
    if pixels.ndim == 0:
        raise UserError(
            f"image: found an object of type '{type(image).__name__}'; expected a path, an array (RGB, uint8 "
            "[H, W, 3], or gray, uint8 [H, W]) or a picture of Pillow"
        )
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UserError(
            f"an array of {pixels.dtype} {list(pixels.shape)}; expected RGB, uint8 [H, W, 3], or gray, uint8 [H, W]"
        )
    return pixels
