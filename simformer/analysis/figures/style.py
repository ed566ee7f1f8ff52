"""How figures look and are written: the widths of a paper, readable type, colours for every vision, PDF and PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine

from simformer.atomic import atomic_write_bytes
from simformer.text.visible import visible

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INCH = 25.4
"""Millimetres."""
COLUMN, PAGE = 84 / INCH, 174 / INCH
"""Widths in inches of a figure in one column and of one across the page."""
SMALLEST = 6
"""Size in print of the smallest type, points."""
DPI = 300
"""Of the PNG."""
RULES: dict[RcKeyType, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "legend.fontsize": SMALLEST,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "grid.linewidth": 0.4,
    "pdf.fonttype": 42,
}
"""Settings of matplotlib in every figure; type stays text in the PDF."""
LONGEST_NAME = 48
"""Characters of a name in a figure; what is longer is cut."""
NO_GLYPH = "\u25a1"
"""Stands for a character that the font lacks, such as those of Chinese and Emoji, which it has none of."""
LINES = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
    ("#000000", "X"),
)
"""Colours of Okabe and Ito, told apart with any colour vision, each with a marker of its own."""


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw with RULES; what matplotlib was set to before holds again afterwards."""
    with plt.rc_context(RULES):
        yield


def line_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give every name a colour, a marker and, from the eighth on, another dash, as keywords of `plot`."""
    dashes = ("-", "--", ":", "-.")
    styles = {}
    for number, name in enumerate(names):
        colour, marker = LINES[number % len(LINES)]
        styles[name] = {"color": colour, "marker": marker, "linestyle": dashes[number // len(LINES) % len(dashes)]}
    return styles


def drawn_colour(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """Return a colour, RGB in 0..255, as matplotlib has it."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def set_gaps(figure: Figure, width: float, height: float) -> None:
    """Leave no more between the axes of a figure with a constrained layout than some inches beside and above each."""
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(w_pad=width, h_pad=height, wspace=0, hspace=0)


def figure_text(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a name as a figure shows it: no formula, no character that the font lacks, and not too long.

    Args:
        text: a name; a dollar in it begins no formula, and a bar at its beginning does not hide it from a legend.
        longest: characters that are shown.
    """
    font = get_font(findfont(FontProperties()))
    shown = "".join(c if font.get_char_index(ord(c)) else NO_GLYPH for c in visible(text, longest))
    return (" " if shown.startswith("_") else "") + shown.replace("$", r"\$")


def draw_figure(output: Path, title: str, draw: Callable[..., Figure], *arguments: Any) -> None:
    """Draw a figure with RULES, by a function and its arguments, and write it; see `write_figure`."""
    with figure_style():
        write_figure(draw(*arguments), output, title)


def picture_rows(heights: Sequence[float], columns: int, width: float, below: float) -> tuple[Figure, np.ndarray]:
    """Make a figure of lines of pictures.

    Args:
        heights: of the lines, as shares of a picture's width.
        columns: pictures in a line.
        width: of the figure, inches.
        below: room for titles and legend, inches.
    Returns: the figure, and its axes, [lines, columns].
    """
    size = width, width / columns * sum(heights) + below
    return plt.subplots(len(heights), columns, figsize=size, height_ratios=heights, squeeze=False, layout="constrained")


def write_png(figure: Figure, output: Path, dpi: int) -> None:
    """Write a figure as PNG alone, and close it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    atomic_write_bytes(output, buffer.getvalue())


def write_figure(figure: Figure, output: Path, title: str) -> None:
    """Write a figure as PDF and, beside it, as PNG, and close it; equal figures give equal files.

    Args:
        figure: what was drawn.
        output: path of the PDF.
        title: stored in both files.
    """
    pdf, png = io.BytesIO(), io.BytesIO()
    title = visible(title)
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Title": title}, dpi=DPI)
    figure.savefig(png, format="png", metadata={"Title": title}, dpi=DPI)
    plt.close(figure)
    atomic_write_bytes(output.with_suffix(".pdf"), pdf.getvalue())
    atomic_write_bytes(output.with_suffix(".png"), png.getvalue())
