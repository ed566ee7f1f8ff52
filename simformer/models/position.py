"""Sine position encoding of a feature grid, added to the keys of the transformer's cross-attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TEMPERATURE = 10_000.0


def sine_position_encoding(height: int, width: int, dim: int, device: torch.device | str = "cpu") -> Tensor:
    """Encode the position of every cell of a grid (Carion et al. 2020; Vaswani et al. 2017).

    A row i has the angle u = 2 pi (i + 1) / height, a column j likewise v. Channel k = 0 .. dim/2 - 1 is the
    sine (k even) or cosine (k odd) of u / T^(2 floor(k/2) / (dim/2)); the other dim/2 channels those of v.

    Args:
        height: rows of the grid, h.
        width: columns of the grid, w.
        dim: C, number of channels, a multiple of 4.
        device: where the result lives.

    Returns: encoding in [-1, 1], rows' channels first, float32 [C, h, w].

    Raises: ValueError when dim is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(f"dim must be a multiple of 4, found {dim}")
    rows = _axis_encoding(height, dim // 2, device)[:, :, None].expand(-1, -1, width)
    columns = _axis_encoding(width, dim // 2, device)[:, None, :].expand(-1, height, -1)
    return torch.cat([rows, columns])


def _axis_encoding(length: int, channels: int, device: torch.device | str) -> Tensor:
    """Encode the cells of one axis, float32 [channels, length]."""
    angles = torch.arange(1, length + 1, device=device, dtype=torch.float32) * (2 * math.pi / (length + 1e-6))
    exponents = torch.arange(0, channels, 2, device=device, dtype=torch.float32) / channels
    waves = angles / (TEMPERATURE**exponents)[:, None]
    return torch.stack([waves.sin(), waves.cos()], dim=1).flatten(0, 1)
