"""The half-disc stencil: which pairs of cells have an affinity, and how a grid is moved along its offsets."""

from __future__ import annotations

from types import EllipsisType

from torch import Tensor
from torch.nn import functional as F

Offset = tuple[int, int]
"""(dy, dx) from the first cell of a pair to the second."""
Cells = tuple[EllipsisType, slice, slice]
"""Index of a window of a grid [..., h, w]."""


def half_disc(radius: int) -> tuple[Offset, ...]:
    """Offsets shorter than a radius, one of each opposite pair, in ascending order (PSA, IRN).

    Args:
        radius: in cells; 5 gives 34 offsets, 10 gives 152.
    Returns: offsets with dy = 0 and dx > 0, or dy > 0, and dy^2 + dx^2 < radius^2.
    """
    reach = range(-radius + 1, radius)
    return tuple(
        (dy, dx) for dy in range(radius) for dx in reach if (dy, dx) > (0, 0) and dy * dy + dx * dx < radius * radius
    )


class Windows:
    """A grid with a margin, so that it is moved along any of some offsets, or back, without a copy.

    Args:
        grid: [..., h, w].
        offsets: the farthest of them set the margin.
        fill: value of the margin.
    """

    def __init__(self, grid: Tensor, offsets: tuple[Offset, ...], fill: float) -> None:
        self.height, self.width = grid.shape[-2:]
        self.rows, self.columns = (max(abs(offset[axis]) for offset in offsets) for axis in (0, 1))
        self.padded = F.pad(grid, (self.columns, self.columns, self.rows, self.rows), value=fill)

    def __getitem__(self, offset: Offset) -> Tensor:
        """Return a view in which each cell holds what lies at an offset from it; the fill where that is outside."""
        top, left = self.rows + offset[0], self.columns + offset[1]
        return self.padded[..., top : top + self.height, left : left + self.width]


def inside(offset: Offset, height: int, width: int) -> tuple[Cells, Cells]:
    """Index the cells whose partner at an offset lies inside the grid, and these partners, in [..., h, w]."""
    dy, dx = offset
    rows, columns = max(0, height - abs(dy)), max(0, width - abs(dx))

    def window(top: int, left: int) -> Cells:
        return ..., slice(top, top + rows), slice(left, left + columns)

    return window(max(-dy, 0), max(-dx, 0)), window(max(dy, 0), max(dx, 0))


def segment(offset: Offset) -> tuple[Offset, ...]:
    """Cells on the way from a cell to its partner (IRN): those of their bounding box nearer than 1 to the segment.

    Args:
        offset: (dy, dx) of the partner.
    Returns: offsets from the first cell, both ends among them.
    """
    dy, dx = offset
    rows, columns = (range(min(0, d), max(0, d) + 1) for d in (dy, dx))
    return tuple((y, x) for y in rows for x in columns if (dy * x - dx * y) ** 2 < dy * dy + dx * dx)
