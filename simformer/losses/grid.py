"""Between pixel resolution H x W and the embedding grid h x w (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def to_grid(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Shrink label maps or masks by nearest neighbour: grid cell i reads pixel floor(i H / h).

    Args:
        maps: any dtype, [..., H, W].
        size: (h, w) of the grid.

    Returns: the same dtype, [..., h, w].
    """
    (height, width), (h, w) = maps.shape[-2:], size
    rows = torch.arange(h, device=maps.device) * height // h
    columns = torch.arange(w, device=maps.device) * width // w
    return maps[..., rows[:, None], columns]


def to_pixels(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge mask logits bilinearly (corners not aligned).

    Two matrix products, equal to bilinear `F.interpolate` but with a gradient that is cheap on a CPU and
    deterministic on a GPU.

    Args:
        logits: [T, h, w].
        size: (H, W).

    Returns: [T, H, W].
    """
    rows, columns = enlargement(logits, size)
    return rows.T @ logits @ columns


def enlargement(logits: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the matrices [h, H] and [w, W] of bilinear enlargement, for logits [..., h, w] of some type and device."""
    rows, columns = (
        F.interpolate(torch.eye(small, dtype=logits.dtype, device=logits.device)[None], size=large, mode="linear")[0]
        for small, large in zip(logits.shape[-2:], size, strict=True)
    )
    return rows, columns
