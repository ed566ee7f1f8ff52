"""One colour per class, the same in every picture."""

from __future__ import annotations

import colorsys

import numpy as np

from simformer.settings import IGNORE

IGNORE_COLOUR = (40, 40, 40)
BASE_COLOUR, NOVEL_COLOUR = (0, 114, 178), (230, 159, 0)
"""Blue and orange: told apart with any colour vision."""


def class_colours(count: int) -> np.ndarray:
    """Return a colour table, uint8 [256, 3]: hues by the golden ratio, three lightness levels, ignore dark."""
    table = np.full((256, 3), IGNORE_COLOUR, dtype=np.uint8)
    for i in range(count):
        hue, lightness = (i * 0.61803398875) % 1.0, (0.45, 0.62, 0.78)[i % 3]
        table[i] = [round(255 * v) for v in colorsys.hls_to_rgb(hue, lightness, 0.75)]
    return table


def group_colours(count: int, novel: tuple[int, ...]) -> np.ndarray:
    """Return a colour table, uint8 [256, 3], that shows base and novel classes and IGNORE."""
    table = np.full((256, 3), IGNORE_COLOUR, dtype=np.uint8)
    table[:count] = BASE_COLOUR
    table[list(novel)] = NOVEL_COLOUR
    table[IGNORE] = IGNORE_COLOUR
    return table
