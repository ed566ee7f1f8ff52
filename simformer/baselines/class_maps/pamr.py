"""Pixel-adaptive mask refinement (PAMR; Araslanov and Roth 2020): averages scores over pixels of similar colour."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

DILATIONS = (1, 2, 4, 8, 12, 24)
SOFTNESS = 0.1
"""Share of the local deviation that counts as a small difference in colour."""


def pamr(image: Tensor, scores: Tensor, iterations: int) -> Tensor:
    """Refine scores along the edges of an image.

    Neighbours of a pixel are the 8 around it at each of 6 distances (48, itself excluded); beyond the border the edge
    is repeated. Their weights are a softmax of -mean over RGB of |I_i - I_j| / (1e-8 + 0.1 std_i), with the deviation
    over the neighbours; each iteration replaces a score by the weighted mean.

    Args:
        image: RGB in any range, [3, H, W].
        scores: [P, H, W].
        iterations: 10 in the reference.
    Returns: [P, H, W]; no channel's range grows.
    """
    neighbours = torch.stack(list(_neighbours(image)))
    deviation = neighbours.std(dim=0)
    distance = ((image - neighbours).abs() / (1e-8 + SOFTNESS * deviation)).mean(dim=1)
    weights = torch.softmax(-distance, dim=0)
    for _ in range(iterations):
        scores = sum(weight * moved for weight, moved in zip(weights, _neighbours(scores), strict=True))
    return scores


def _neighbours(grid: Tensor) -> Iterator[Tensor]:
    """Yield a grid [C, H, W] moved to each of the 48 neighbours."""
    height, width = grid.shape[-2:]
    reach = max(DILATIONS)
    padded = F.pad(grid[None], (reach,) * 4, mode="replicate")[0]
    for d, y, x in product(DILATIONS, (-1, 0, 1), (-1, 0, 1)):
        if (y, x) != (0, 0):
            yield padded[:, reach + d * y :, reach + d * x :][:, :height, :width]
