"""The prediction for one image: class ids, scores, a summary by class, and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simformer.config.settings import IGNORE

OPACITY = 0.6
"""Of the classes' colours over a photograph."""


@dataclass(frozen=True)
class SegmentedClass:
    """A class of a model.

    Attributes:
        id: its number in predictions, 0 to K - 1.
        name: its name.
        kind: 'base' (masks in training) or 'novel' (image-level labels alone); None if the model does not say.
        colour: RGB, 0..255, in pictures.
    """

    id: int
    name: str
    kind: Literal["base", "novel"] | None
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Prediction:
    """The prediction of one image of H x W pixels.

    Attributes:
        image: the image, upright RGB, uint8 [H, W, 3].
        ids: class ids, uint8 [H, W]; IGNORE (255) below the threshold and for classes that are not kept.
        scores: score of the best class, float32 [H, W]: the sum over all queries of class probability times mask
            probability (Sec. 3.2), so 0 or more, mostly below 1.
        classes: the K classes of the model in id order.
    """

    image: NDArray[np.uint8]
    ids: NDArray[np.uint8]
    scores: NDArray[np.float32]
    classes: tuple[SegmentedClass, ...]

    def summary(self) -> list[dict[str, Any]]:
        """Return what is known of each class in the image, in id order.

        Returns: `id`, `name`, `kind`, `pixels`, `ratio` (share of all pixels), `mean_score` (over its pixels).
        """
        flat, scores = self.ids.ravel(), self.scores.ravel()
        pixels = np.bincount(flat, minlength=IGNORE + 1)
        sums = np.bincount(flat, weights=scores, minlength=IGNORE + 1)
        return [
            {
                "id": c.id,
                "name": c.name,
                "kind": c.kind,
                "pixels": int(pixels[c.id]),
                "ratio": round(int(pixels[c.id]) / flat.size, 6),
                "mean_score": round(float(sums[c.id] / pixels[c.id]), 4),
            }
            for c in self.classes
            if pixels[c.id]
        ]

    def overlay(self) -> NDArray[np.uint8]:
        """Return the image under the colours of its classes, uint8 [H, W, 3]; pixels without a class stay."""
        colours = np.zeros((IGNORE + 1, 3), np.float32)
        colours[: len(self.classes)] = [c.colour for c in self.classes]
        share = np.full((IGNORE + 1, 1), OPACITY, np.float32)
        share[IGNORE] = 0
        picture = np.empty_like(self.image)
        for row, (pixels, ids) in enumerate(zip(self.image, self.ids, strict=True)):  # by rows: floats of one alone
            picture[row] = np.rint(pixels + share[ids] * (colours[ids] - pixels))
        return picture
