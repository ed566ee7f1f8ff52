"""Overlap of novel masks and share of right novel pixels, run by run: a panel per dataset and split."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from simformer.analysis.figures.style import COLUMN, figure_text, line_styles

SHOWN = {
    "own": ("mask value on own pixels", 1.0),
    "others": ("mask value on other novel pixels", 1.0),
    "covered": ("novel pixels under two masks", 0.01),
    "right": ("right novel pixels", 0.01),
}
"""Name of each value that is drawn, and what turns it into a share."""


def diagnostics_figure(table: pd.DataFrame, labels: dict[str, str]) -> Figure:
    """Draw a line per method and a point per seed for each value of SHOWN, from 0 to 1.

    Args:
        table: see `claims.diagnostics.diagnostics`.
        labels: method -> name that is shown.
    """
    places = list(table.groupby(["dataset", "split"], sort=False))
    counts = [runs["method"].nunique() for _, runs in places]
    figure, axes = plt.subplots(
        len(places), 1,
        figsize=(COLUMN, 0.21 * sum(counts) + 0.45 * len(places) + 0.4),
        height_ratios=counts, squeeze=False, sharex=True, layout="constrained",
    )  # fmt: skip
    styles = line_styles([name for name, _ in SHOWN.values()])
    for axis, ((dataset, split), runs) in zip(axes[:, 0], places, strict=True):
        methods = list(dict.fromkeys(runs["method"]))
        heights = runs["method"].map(methods.index)
        for column, (name, scale) in SHOWN.items():
            axis.plot(scale * runs[column], heights, label=name, **styles[name] | {"linestyle": ""}, alpha=0.8)
        axis.set_title(figure_text(f"{dataset} {split}"))
        axis.set_yticks(range(len(methods)), [figure_text(labels[method]) for method in methods])
        axis.set_ylim(len(methods) - 0.5, -0.5)
        axis.set_xlim(-0.02, 1.02)
        axis.tick_params(axis="y", length=0)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
