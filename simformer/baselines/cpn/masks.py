"""Complementary views: an image's cells of random shape, some of which one view hides and the other shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.training.crops import Crops, Sample

MASK_STREAM = 7
"""Number of the random stream of masks; crops have their own."""


@dataclass(frozen=True, kw_only=True)
class ViewSample(Sample):
    """A crop and what its two views show.

    Attributes:
        visible: pixels that each view shows, bool [2, S, S].
    """

    visible: Tensor


class ViewCrops(Crops):
    """Crops with the masks of their views, which settings of CPN describe; item n is a pure function of (seed, n)."""

    settings: CpnSettings

    def __getitem__(self, position: int) -> ViewSample:
        rng = np.random.default_rng([self.seed, MASK_STREAM, position])
        side = self.settings.crop
        return ViewSample(**vars(super().__getitem__(position)), visible=draw_views(side, side, self.settings, rng))


def draw_views(height: int, width: int, settings: CpnSettings, rng: np.random.Generator) -> Tensor:
    """Draw what the two views show: each pixel is seen by exactly one, unless the masks are independent.

    Returns: bool [2, height, width].
    """
    first = visible_pixels(height, width, settings.cell_side, rng)
    second = first if settings.masks == "complementary" else visible_pixels(height, width, settings.cell_side, rng)
    return torch.from_numpy(np.stack([first, ~second]))


def visible_pixels(height: int, width: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Draw what the first view shows: all but some cells.

    Of m cells floor((m + 1) / 2) numbers are drawn from 0..m with replacement, as released, so that 39 % are hidden.

    Args:
        height, width: in pixels.
        side: mean side of a cell.
        rng: source of all randomness.
    Returns: bool [height, width].
    """
    cells = random_cells(height, width, side, rng)
    count = int(cells.max()) + 1
    drawn = rng.integers(0, count + 1, size=(count + 1) // 2)
    hidden = np.zeros(count + 1, bool)
    hidden[drawn] = True
    seen: np.ndarray = ~hidden[1:][cells]
    return seen


def random_cells(height: int, width: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Cut an image into cells, each the pixels nearest to a point that lies anywhere in its square of a grid.

    Returns: number of each pixel's cell, int [height, width].
    """
    rows, columns = (max(1, round(size / side)) for size in (height, width))
    corners = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
    points = (corners + rng.random(corners.shape)) * [height / rows, width / columns]
    pixels = np.stack(np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij"), axis=-1)
    return np.asarray(cKDTree(points).query(pixels)[1])
