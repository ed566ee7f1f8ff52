"""Looks of the demo's classes: two colours (HSV) mixed by a random field, and the fields themselves."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
"""Single precision; types of sums with plain numbers do not say so."""
Field = Callable[[np.random.Generator, Array, Array], Array]
Hsv = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Appearance of a region: colours `low` and `high` (HSV, each in 0..1), mixed by a field in 0..1."""

    low: Hsv
    high: Hsv
    field: Field


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], rows: int, columns: int) -> Array:
    """Return noise in 0..1 that varies over a grid of rows x columns cells, float of shape [height, width]."""
    height, width = shape
    grid = rng.random((rows + 1, columns + 1), dtype=np.float32)
    noise: Array = _weights(height, rows) @ grid @ _weights(width, columns).T
    return noise


def _weights(pixels: int, cells: int) -> Array:
    """Return the linear interpolation from cells + 1 nodes to pixels, float [pixels, cells + 1]."""
    position = (np.arange(pixels, dtype=np.float32) + 0.5) * (cells / pixels)
    weights: Array = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells + 1, dtype=np.float32)))
    return weights


def _wave(phase: Array) -> Array:
    return 0.5 + 0.5 * np.sin(phase)


def _along(rng: np.random.Generator, x: Array, y: Array, angle: float | None = None) -> Array:
    """Return the coordinate along a direction (random if None), with a random origin."""
    if angle is None:
        angle = rng.uniform(0, np.pi)
    return math.cos(angle) * x + math.sin(angle) * y + rng.uniform(0, 100)


def clouds(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Soft patches, brighter towards the bottom."""
    brightness: Array = 0.6 * smooth_noise(rng, x.shape, 4, 3) + 0.4 * y / y.max()
    return brightness


def ripples(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Roughly horizontal waves, as on water."""
    bend = 5 * smooth_noise(rng, x.shape, 8, 5)
    return _wave((_along(rng, x, y, np.pi / 2 + rng.normal(0, 0.15)) + bend) * (2 * np.pi / rng.uniform(6.5, 8.5))) ** 2


def blades(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Short upright streaks, as of grass."""
    height, width = x.shape
    return smooth_noise(rng, x.shape, max(4, height // 9), max(8, width // 2))


def grain(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Fine grain over soft dunes."""
    return 0.55 * rng.random(x.shape, dtype=np.float32) + 0.45 * smooth_noise(rng, x.shape, 6, 3)


def bricks(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Bricks (0) and mortar (1)."""
    tall, wide = rng.uniform(8, 10), rng.uniform(16, 20)
    row = (y + rng.uniform(0, tall)) / tall
    column = (x + rng.uniform(0, wide)) / wide + 0.5 * (np.floor(row) % 2)
    mortar = ((row % 1) * tall < 2) | ((column % 1) * wide < 2)
    return np.where(mortar, 1.0, 0.25 * smooth_noise(rng, x.shape, 10, 6)).astype(np.float32)


def planks(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Long wavy grain, as of wood, upright or nearly so."""
    bend = 9 * smooth_noise(rng, x.shape, 2, 4)
    across = _along(rng, x, y, rng.normal(0, 0.12)) + bend
    return 0.75 * _wave(across * (2 * np.pi / rng.uniform(9, 12))) + 0.25 * smooth_noise(rng, x.shape, 3, 30)


def stripes(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Straight stripes of random direction."""
    return (_along(rng, x, y) % 7 < 3.5).astype(np.float32)


def checks(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """A chessboard."""
    angle = rng.uniform(0, np.pi / 2)
    u, v = _along(rng, x, y, angle), _along(rng, x, y, angle + np.pi / 2)
    odd: Array = (np.floor(u / 4.5) + np.floor(v / 4.5)) % 2
    return odd.astype(np.float32)


def dots(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """A grid of spots."""
    angle = rng.uniform(0, np.pi / 2)
    u, v = _along(rng, x, y, angle), _along(rng, x, y, angle + np.pi / 2)
    return ((u % 7 - 3.5) ** 2 + (v % 7 - 3.5) ** 2 < 5.5).astype(np.float32)


def mottle(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Irregular patches of a few pixels."""
    return smooth_noise(rng, x.shape, max(4, x.shape[0] // 6), max(4, x.shape[1] // 6))


FIELDS: tuple[Field, ...] = (
    clouds, ripples, blades, grain, bricks, planks, stripes, checks, dots, mottle,
)  # fmt: skip

STUFF = {
    "sky": Look((0.58, 0.45, 0.85), (0.55, 0.08, 0.98), clouds),
    "sea": Look((0.55, 0.80, 0.45), (0.50, 0.45, 0.80), ripples),
    "grass": Look((0.30, 0.75, 0.32), (0.24, 0.65, 0.72), blades),
    "sand": Look((0.12, 0.50, 0.72), (0.14, 0.28, 0.97), grain),
    "brick": Look((0.02, 0.62, 0.58), (0.08, 0.12, 0.75), bricks),
    "wood": Look((0.07, 0.70, 0.30), (0.09, 0.60, 0.62), planks),
}
"""Stuff classes, by name."""

HEADS = {
    "disk": Look((0.00, 0.90, 0.95), (0.00, 0.05, 0.98), stripes),
    "square": Look((0.08, 0.95, 0.98), (0.08, 0.90, 0.20), checks),
    "triangle": Look((0.16, 0.90, 0.98), (0.72, 0.80, 0.45), dots),
    "star": Look((0.35, 0.90, 0.85), (0.16, 0.55, 1.00), stripes),
    "ring": Look((0.47, 0.90, 0.90), (0.00, 0.00, 0.08), checks),
    "cross": Look((0.25, 0.90, 0.90), (0.97, 0.90, 0.60), dots),
    "diamond": Look((0.66, 0.85, 0.95), (0.52, 0.25, 1.00), checks),
    "heart": Look((0.91, 0.85, 0.98), (0.95, 0.15, 1.00), dots),
    "moon": Look((0.78, 0.85, 0.80), (0.14, 0.80, 1.00), stripes),
    "bar": Look((0.56, 0.95, 0.90), (0.60, 0.90, 0.15), stripes),
}
"""Heads of the thing classes, by name: saturated and distinctive."""

_STONE, _CLAY, _SLATE = (0.10, 0.08, 0.62), (0.97, 0.22, 0.60), (0.66, 0.22, 0.48)
BODIES = {
    "disk": _STONE, "cross": _STONE, "bar": _STONE, "moon": _STONE,
    "triangle": _CLAY, "star": _CLAY, "diamond": _CLAY,
    "square": _SLATE, "ring": _SLATE, "heart": _SLATE,
}  # fmt: skip
"""Muted body colours (HSV) of the thing classes; each is shared by three or four of them."""


def to_rgb(colour: Hsv) -> Array:
    """Return an HSV colour as RGB in 0..1, float [3]; the hue is taken modulo 1, the rest clipped."""
    hue, saturation, value = colour
    rgb = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return np.array(rgb, np.float32)


def jitter(rng: np.random.Generator, colours: tuple[Hsv, ...], amount: float) -> tuple[Hsv, ...]:
    """Shift the hue and scale saturation and value of several colours alike.

    Args:
        rng: source of randomness.
        colours: HSV colours.
        amount: 0 leaves them; 1 shifts the hue by up to 0.04 and scales by up to 0.4.
    """
    hue = amount * rng.uniform(-0.04, 0.04)
    saturation, value = 1 + amount * rng.uniform(-0.4, 0.4, 2)
    return tuple((h + hue, s * saturation, v * value) for h, s, v in colours)


def body_look(name: str, difficulty: float) -> Look:
    """Return the look of a thing's body: its group's muted colour with a trace of the class's own hue."""
    own = 0.7 - 0.5 * difficulty
    muted = to_rgb(BODIES[name])
    mixed = (1 - own) * muted + own * to_rgb(HEADS[name].low)
    h, s, v = colorsys.rgb_to_hsv(*(float(c) for c in mixed))
    return Look((h, s, 0.85 * v), (h, 0.8 * s, min(1.0, 1.15 * v)), mottle)


def random_look(rng: np.random.Generator) -> Look:
    """Return the look of a piece of clutter: any field, two unrelated colours or two shades of one."""
    field = FIELDS[rng.integers(len(FIELDS))]
    hue, saturation = rng.random(), rng.uniform(0, 0.95)
    low, high = np.sort(rng.uniform(0.1, 1.0, 2))
    other = rng.random() if rng.random() < 0.5 else hue
    return Look((hue, saturation, low), (other, rng.uniform(0, 0.95), high), field)


def paint(rng: np.random.Generator, look: Look, x: Array, y: Array, mask: NDArray[np.bool_], amount: float) -> Array:
    """Return a texture of that look at the P pixels of a mask.

    Args:
        rng: source of randomness.
        look: two colours and the field that mixes them.
        x, y: pixel coordinates, float [H, W].
        mask: the pixels to paint, bool [H, W].
        amount: strength of the colour jitter, see `jitter`.

    Returns: RGB in 0..1, float [P, 3].
    """
    low, high = jitter(rng, (look.low, look.high), amount)
    a, b = to_rgb(low), to_rgb(high)
    return a + look.field(rng, x, y)[mask][:, None] * (b - a)
