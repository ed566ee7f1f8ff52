"""Sweeps of single settings (Fig. 6): mean IoU for each value; the default is dotted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simformer.analysis.figures.style import PAGE, draw_figure, figure_text
from simformer.analysis.tables.read_table import read_results, require_lines
from simformer.analysis.tables.statistics import ROUNDING
from simformer.data.palette import BASE_COLOUR, NOVEL_COLOUR

LINES = {"novel": (NOVEL_COLOUR, "o"), "base": (BASE_COLOUR, "s"), "all": ((90, 90, 90), "^")}
"""Colour and marker of every metric."""
SYMBOLS = {"loss.alpha": r"$\alpha$", "loss.beta": r"$\beta$", "loss.gamma": r"$\gamma$", "similarity.points": "$J$"}
"""The paper's symbols; other keys are written out."""


def draw_sweeps(table: Path, spec: dict[str, Any], output: Path) -> None:
    """Draw one row of panels per dataset and split, one panel per setting, with standard deviations over seeds.

    Args:
        table: the csv of the experiment (see `tables.collect`).
        spec: `title`, `reference` (the method with the defaults), `panels` (dataset -> split ->
            setting -> method -> value).
        output: PDF to write; a PNG is written beside it.
    """
    results = read_results(table, "mean", "std")
    require_lines(table, results, _asked(spec))
    draw_figure(output, spec["title"], sweeps_figure, results, spec)


def _asked(spec: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return every dataset, split and method that the figure shows."""
    return [
        (dataset, split, method)
        for dataset, splits in spec["panels"].items()
        for split, panels in splits.items()
        for values in panels.values()
        for method in values
    ]


def sweeps_figure(results: pd.DataFrame, spec: dict[str, Any]) -> Figure:
    """Draw the figure; see `draw_sweeps`."""
    rows = [(d, s, panels) for d, splits in spec["panels"].items() for s, panels in splits.items()]
    columns = max(len(panels) for *_, panels in rows)
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(PAGE * columns / max(3, columns), 1.9 * len(rows) + 0.2),
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for line, (dataset, split, panels) in zip(axes, rows, strict=True):
        mine = results[(results["dataset"] == dataset) & (results["split"] == split)]
        for axis, (key, values) in zip(line, panels.items(), strict=True):
            draw_panel(axis, mine, values, spec["reference"])
            axis.set_xlabel(SYMBOLS.get(key, figure_text(key)))
        line[0].set_ylabel(f"{figure_text(f'{dataset} {split}')}\nmean IoU (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    dotted = Line2D([], [], linestyle=":", color="black")
    figure.legend([*handles, dotted], [*labels, "default"], loc="outside lower center", ncols=len(labels) + 1)
    return figure


def draw_panel(axis: Axes, results: pd.DataFrame, values: dict[str, float], reference: str) -> None:
    """Draw the metrics over one setting.

    Args:
        axis: where to draw.
        results: lines of the table for one dataset and split.
        values: value of the setting by method.
        reference: method whose value is dotted.
    """
    methods = sorted(values, key=values.__getitem__)
    for metric in results["metric"].unique():
        colour, marker = LINES[metric]
        points = results[results["metric"] == metric].set_index("method").loc[methods]
        bars = points["std"].where(points["std"] > ROUNDING * points["mean"].abs())
        axis.errorbar(
            [values[m] for m in methods],
            points["mean"],
            yerr=bars if bars.notna().any() else None,
            color=tuple(c / 255 for c in colour),
            marker=marker,
            capsize=2,
            label=metric,
        )
    axis.axvline(values[reference], linestyle=":", color="black", linewidth=1)
    if min(values.values()) > 0 and max(values.values()) >= 8 * min(values.values()):
        axis.set_xscale("log")
        axis.set_xticks([values[m] for m in methods], [f"{values[m]:g}" for m in methods])
        axis.minorticks_off()
    axis.grid(alpha=0.3)
