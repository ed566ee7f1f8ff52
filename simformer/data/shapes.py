"""Outlines of the demo's ten thing classes, and of the clutter that belongs to no class."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simformer.data.textures import Array, smooth_noise

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Shape:
    """A silhouette in local coordinates (unit radius, v points down) and where its head sits.

    Attributes:
        inside: maps coordinates u, v, float [H, W], to the mask of the silhouette, bool [H, W].
        head: local position (u, v) of the head's centre.
    """

    inside: Callable[[Array, Array], Mask]
    head: tuple[float, float]


def _star(u: Array, v: Array) -> Mask:
    tip, notch, half = 1.1, 0.5, np.pi / 5
    turn = np.arctan2(u, -v) / (2 * half)
    from_tip = np.abs(turn - np.round(turn)) * (2 * half)
    edge = tip * notch * np.sin(half) / (tip * np.sin(from_tip) + notch * np.sin(half - from_tip))
    inside: Mask = np.hypot(u, v) < edge
    return inside


def _cross(u: Array, v: Array) -> Mask:
    a, b = np.abs(u), np.abs(v)
    return (np.minimum(a, b) < 0.31) & (np.maximum(a, b) < 0.95)


def _heart(u: Array, v: Array) -> Mask:
    x, y = 1.2 * u, 0.1 - 1.2 * v
    return (x**2 + y**2 - 1) ** 3 < x**2 * y**3


SHAPES = {
    "disk": Shape(lambda u, v: u**2 + v**2 < 0.72, (0.0, -0.5)),
    "square": Shape(lambda u, v: np.maximum(np.abs(u), np.abs(v)) < 0.74, (0.74, -0.74)),
    "triangle": Shape(lambda u, v: (v < 0.6) & (np.abs(u) < 0.58 * (v + 1.0)), (0.0, -0.7)),
    "star": Shape(_star, (0.0, 0.0)),
    "ring": Shape(lambda u, v: (np.hypot(u, v) > 0.47) & (np.hypot(u, v) < 0.95), (0.0, -0.7)),
    "cross": Shape(_cross, (0.0, 0.0)),
    "diamond": Shape(lambda u, v: np.abs(u) / 0.64 + np.abs(v) < 1.05, (0.0, 0.9)),
    "heart": Shape(_heart, (0.0, 0.7)),
    "moon": Shape(lambda u, v: (u**2 + v**2 < 0.95) & ((u - 0.52) ** 2 + v**2 > 0.52), (-0.6, 0.0)),
    "bar": Shape(lambda u, v: (np.abs(u) < 0.33) & (np.abs(v) < 1.1), (0.0, -1.0)),
}
"""The thing classes, by name."""


def _local(x: Array, y: Array, centre: Array, radius: float, angle: float) -> tuple[Array, Array]:
    """Return pixel coordinates relative to a centre, in units of a radius, rotated by an angle."""
    dx, dy = (x - float(centre[0])) / radius, (y - float(centre[1])) / radius
    cosine, sine = math.cos(angle), math.sin(angle)
    return cosine * dx + sine * dy, cosine * dy - sine * dx


def draw_thing(
    shape: Shape, x: Array, y: Array, centre: Array, radius: float, angle: float, head_share: float
) -> tuple[Mask, Mask]:
    """Rasterise one thing.

    Args:
        shape: its silhouette.
        x, y: pixel coordinates, float [H, W].
        centre: its place (x, y), float [2].
        radius: its size, in the unit of the coordinates.
        angle: its rotation in radians.
        head_share: share of the silhouette's visible pixels that form the head, in (0, 1).

    Returns: masks of the whole thing and of its head, bool [H, W]; both empty outside the image.
    """
    u, v = _local(x, y, centre, radius, angle)
    whole = shape.inside(u, v)
    if not whole.any():
        return whole, whole
    distance = np.hypot(u - shape.head[0], v - shape.head[1])
    return whole, whole & (distance <= np.quantile(distance[whole], head_share))


def draw_blob(rng: np.random.Generator, x: Array, y: Array, centre: Array, radius: float) -> Mask:
    """Rasterise a piece of clutter: a stretched outline with random waves or corners, at times in crumbs.

    Args:
        rng: source of randomness.
        x, y: pixel coordinates, float [H, W].
        centre: its place (x, y), float [2].
        radius: that of a disk of about its area, in the unit of the coordinates.

    Returns: bool [H, W].
    """
    angle, stretch = rng.uniform(0, 2 * np.pi), math.exp(rng.uniform(0, 0.8))
    u, v = _local(x, y, centre, radius, angle)
    u, v = u / stretch, v * stretch
    theta = np.arctan2(v, u)
    if rng.random() < 0.4:
        corners = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        lengths = rng.uniform(0.65, 1.35, len(corners))
        outline = np.interp(theta, corners, lengths, period=2 * np.pi).astype(np.float32)
    else:
        outline = np.ones_like(theta)
        for order in rng.choice(np.arange(2, 8), 3, replace=False):
            outline += rng.uniform(0.1, 0.5) / math.sqrt(order) * np.cos(int(order) * theta + rng.uniform(0, 2 * np.pi))
    piece = np.hypot(u, v) < outline
    if rng.random() < 0.2:
        piece &= smooth_noise(rng, x.shape, x.shape[0] // 4, x.shape[1] // 4) > 0.5
    return piece
