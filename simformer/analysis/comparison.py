"""Methods side by side: mean IoU with the deviation over seeds, and what the paper reports."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simformer.analysis.style import COLUMN, LINES, PAGE, figure_style, write_figure
from simformer.analysis.table_text import METRIC_NAMES

SHIFT = 0.2
"""Distance of two metrics of one method, in lines."""


def draw_comparison(table: Path, title: str, output: Path) -> None:
    """Draw a panel per dataset and split, a line per method, a point with error bars per metric.

    Args:
        table: the csv of the experiment (see `tables.collect`).
        title: of the figure.
        output: PDF to write, and beside it a PNG.
    """
    with figure_style():
        write_figure(comparison_figure(pd.read_csv(table)), output, title)


def comparison_figure(results: pd.DataFrame) -> Figure:
    """Draw the figure; see `draw_comparison`."""
    places = list(results.groupby(["dataset", "split"], sort=False))
    columns = min(4, len(places))
    rows = math.ceil(len(places) / columns)
    height = 0.21 * results["method"].nunique() + 0.5
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(COLUMN if columns == 1 else PAGE, rows * height + 0.3),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, ((dataset, split), lines) in zip(axes.flat, places, strict=False):
        draw_panel(axis, lines)
        axis.set_title(f"{dataset} {split}")
    for axis in axes.flat[len(places) :]:
        axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xlabel("percent")
    handles: dict[str, Any] = {}
    for axis in axes.flat[: len(places)]:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles)))
    return figure


def draw_panel(axis: Axes, lines: pd.DataFrame) -> None:
    """Draw the methods of one dataset and split, the first one on top."""
    methods = list(dict.fromkeys(lines["method"]))
    metrics = list(dict.fromkeys(lines["metric"]))
    for number, metric in enumerate(metrics):
        mine = lines[lines["metric"] == metric].set_index("method").loc[methods]
        height = np.arange(len(methods)) + SHIFT * (number - (len(metrics) - 1) / 2)
        colour, marker = LINES[number % len(LINES)]
        axis.errorbar(
            mine["mean"],
            height,
            xerr=mine["std"].fillna(0) if (mine["n"] > 1).any() else None,
            fmt=marker,
            color=colour,
            capsize=1.5,
            label=METRIC_NAMES[metric],
        )
        if mine["reported"].notna().any():
            axis.plot(
                mine["reported"],
                height,
                marker,
                color=colour,
                markerfacecolor="none",
                label=f"{METRIC_NAMES[metric]} (paper)",
            )
    labels = lines.drop_duplicates("method").set_index("method")["label"]
    axis.set_yticks(range(len(methods)), [labels[method] for method in methods], fontsize=7)
    axis.set_ylim(len(methods) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", alpha=0.3)
