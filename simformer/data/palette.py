"""One colour per class, the same in every picture, and easy to tell apart with any colour vision."""

from __future__ import annotations

import functools

import numpy as np

from simformer.config.settings import IGNORE

IGNORE_COLOUR = (40, 40, 40)
BASE_COLOUR, NOVEL_COLOUR = (0, 114, 178), (230, 159, 0)
"""Blue and orange: told apart with any colour vision."""

VISION = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ]
)
"""Linear RGB as seen with full colour vision, without red cones, without green cones (Machado et al. 2009)."""
LEVELS = 9
"""Candidates are a grid of this many steps per channel."""
SCALE = np.array([0.35, 1, 1])[:, None, None]
"""Distances count by kind of vision: for full colour vision, which could do with few, they must be larger."""
LIGHTNESS = (0.42, 0.88)
"""Range of OKLab lightness: neither as dark as IGNORE_COLOUR nor as light as paper."""


def class_colours(count: int) -> np.ndarray:
    """Return a colour table, uint8 [256, 3]: class k looks the same whatever the number of classes; ignore dark."""
    table = np.full((256, 3), IGNORE_COLOUR, dtype=np.uint8)
    table[:count] = _sequence()[:count]
    return table


def group_colours(count: int, novel: tuple[int, ...]) -> np.ndarray:
    """Return a colour table, uint8 [256, 3], that shows base and novel classes and IGNORE."""
    table = np.full((256, 3), IGNORE_COLOUR, dtype=np.uint8)
    table[:count] = BASE_COLOUR
    table[list(novel)] = NOVEL_COLOUR
    table[IGNORE] = IGNORE_COLOUR
    return table


def seen_colours(colours: np.ndarray) -> np.ndarray:
    """Return where colours lie for each kind of colour vision.

    Args:
        colours: sRGB, uint8 [n, 3].
    Returns: OKLab coordinates (Ottosson 2020) of the colours as seen, [3, n, 3].
    """
    fraction = colours / 255
    linear = np.where(fraction <= 0.04045, fraction / 12.92, ((fraction + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.einsum("vij,nj->vni", VISION, linear), 0, 1)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    values: np.ndarray = np.cbrt(seen @ cones.T) @ lab.T
    return values


@functools.cache
def _sequence() -> np.ndarray:
    """Choose 255 colours one by one, each the farthest from all before it, for the vision that tells it apart worst."""
    steps = np.linspace(0, 255, LEVELS).round().astype(np.uint8)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = seen_colours(candidates)[0, :, 0]
    candidates = candidates[(lightness > LIGHTNESS[0]) & (lightness < LIGHTNESS[1])]
    places = SCALE * seen_colours(candidates)
    dark = SCALE * seen_colours(np.array([IGNORE_COLOUR]))
    nearest = np.linalg.norm(places - dark, axis=-1).min(axis=0)
    chosen = []
    for _ in range(IGNORE):
        found = int(nearest.argmax())
        chosen.append(found)
        nearest = np.minimum(nearest, np.linalg.norm(places - places[:, found : found + 1], axis=-1).min(axis=0))
    return candidates[chosen]
