"""Bounded memory for losses at pixel resolution: large batches are recomputed in the backward pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

PIXELS_AT_ONCE = 2**24
"""Pixels per chunk: 64 MiB for each float32 intermediate, about 40 masks of 640 x 640."""
PIXELS_IN_CACHE = 2**19
"""Pixels per chunk on a CPU, whose cache then holds the intermediates, where nothing is recomputed."""


def map_rows(function: Callable[..., Tensor], pixels_per_row: int, *tensors: Tensor) -> Tensor:
    """Apply a function that treats rows independently, holding the intermediates of one chunk of rows only.

    Args:
        function: maps tensors of R rows each to a tensor of R rows.
        pixels_per_row: size of one row of the function's intermediates, pixels.
        tensors: the arguments, all with the same number of rows (dimension 0).

    Returns: `function(*tensors)`, with the same gradients.
    """
    rows = max(1, PIXELS_AT_ONCE // pixels_per_row)
    if len(tensors[0]) <= rows:
        return function(*tensors)
    parts = zip(*(tensor.split(rows) for tensor in tensors), strict=True)
    return torch.cat([checkpoint(function, *part, use_reentrant=False, preserve_rng_state=False) for part in parts])
