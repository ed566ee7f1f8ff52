"""Methods side by side: mean IoU with its deviation over seeds or interval over images, and the paper's numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simformer.analysis.figures.style import COLUMN, LINES, PAGE, draw_figure, figure_text
from simformer.analysis.tables.intervals import metric_classes
from simformer.analysis.tables.read_table import read_results, require_lines
from simformer.analysis.tables.statistics import ROUNDING, image_bootstrap
from simformer.analysis.tables.table_text import METRIC_NAMES
from simformer.data.identity import require_groups
from simformer.data.splits import Split
from simformer.metrics import Evaluation

SHIFT = 0.2
"""Distance of two metrics of one method, in lines."""
LABEL = 30
"""Characters of a method's label; more leave no room for the numbers."""


def draw_comparison(spec: dict[str, Any], table: Path, output: Path) -> None:
    """Draw a panel per dataset and split, a line per method, a point with an error bar per metric.

    Error bars are the sample deviation over seeds; if no method has several, the 95 % interval over test images.

    Args:
        spec: `title`; `runs`, as `per_class` takes them, or none if the table is not of mean IoU.
        table: the csv of the experiment (see `tables.collect`).
        output: PDF to write, and beside it a PNG.
    """
    results = read_results(table, "label", "mean", "std", "n", "reported")
    require_lines(table, results, [(run["dataset"], run["split"], run["method"]) for run in spec["runs"]])
    results = with_bars(results, spec["runs"])
    draw_figure(output, spec["title"], comparison_figure, results)


def with_bars(results: pd.DataFrame, runs: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the table with two more columns, `below` and `above`: lengths of the error bars.

    Without spread, or with one seed, there is none, which is NaN.

    Args:
        results: see `tables.collect`.
        runs: see `draw_comparison`.
    """
    spread = results["std"].where(results["std"] > ROUNDING * results["mean"].abs())
    table = results.assign(below=spread, above=spread)
    if (results["n"] > 1).any():
        return table
    for run in runs:
        evaluation = Evaluation.load([Path(shard) for shard in run["evaluation"]], run.get("hash"))
        split = Split.load(Path(run["groups"]))
        require_groups(evaluation.identity, split)
        mine = (table[["dataset", "split", "method"]] == [run["dataset"], run["split"], run["method"]]).all(axis=1)
        for i, metric, mean in table.loc[mine, ["metric", "mean"]].itertuples():
            interval = image_bootstrap([evaluation], metric_classes(split, metric))
            table.loc[i, ["below", "above"]] = mean - interval.low, interval.high - mean
    return table


def comparison_figure(results: pd.DataFrame) -> Figure:
    """Draw a table that has error bars (see `with_bars`)."""
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
        axis.set_title(figure_text(f"{dataset} {split}"))
    for axis in axes.flat[len(places) :]:
        axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xlabel(_scale(results))
    handles: dict[str, Any] = {}
    for axis in axes.flat[: len(places)]:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles)))
    return figure


def _scale(results: pd.DataFrame) -> str:
    """What the numbers and their error bars are."""
    if results["below"].isna().all():
        return "percent"
    kind = "deviation over seeds" if (results["n"] > 1).any() else "95 % over test images"
    return f"percent; bars: {kind}"


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
            xerr=None if mine["below"].isna().all() else mine[["below", "above"]].clip(lower=0).to_numpy().T,
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
    axis.set_yticks(range(len(methods)), [figure_text(labels[method], LABEL) for method in methods], fontsize=7)
    axis.set_ylim(len(methods) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", alpha=0.3)
