"""Normalisation of class maps to [0, 1] by their own extremes (SEAM, CPN)."""

from __future__ import annotations

from torch import Tensor

EPSILON = 1e-5


def maxnorm(maps: Tensor) -> Tensor:
    """Rectify maps and bring their minimum to 0 and their maximum near 1, each map by itself.

    r = ReLU(A); ReLU(r - min r - e) / (max r - min r + e). The gradient also flows through minimum and maximum.

    Args:
        maps: raw maps A, [..., H, W].
    Returns: in [0, 1), of the same shape; a map without a positive value is 0 everywhere.
    """
    positive = maps.relu()
    lowest, highest = positive.amin(dim=(-2, -1), keepdim=True), positive.amax(dim=(-2, -1), keepdim=True)
    return (positive - lowest - EPSILON).relu() / (highest - lowest + EPSILON)
