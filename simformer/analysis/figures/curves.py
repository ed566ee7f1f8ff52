"""Training curves: every term of the loss over the steps, of all runs of an experiment on one split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simformer.analysis.figures.style import PAGE, figure_text, line_styles
from simformer.analysis.tables.read_table import read_table

PANELS = {
    "total": "full loss (Eq. 5)",
    "cls": r"$L_\mathrm{cls}$",
    "focal": r"$L_\mathrm{mask}$: focal",
    "dice": r"$L_\mathrm{mask}$: dice",
    "comp": r"$L_\mathrm{comp}$",
    "sim": r"$L_\mathrm{sim}$",
    "dist": r"$L_\mathrm{dist}$",
    "grad_norm": "norm of the gradient",
}
"""Columns of a training log that are drawn, with their titles."""


def curves_figure(spec: dict[str, Any]) -> Figure:
    """Draw a panel per term of the loss; a colour per method, a line per seed.

    Args:
        spec: `rows` (list of {method, label}), `runs` (list of {method, seed, path to log.csv}).
    """
    logs = [(run["method"], read_table(Path(run["path"]), "step", *PANELS)) for run in spec["runs"]]
    labels = {row["method"]: row["label"] for row in spec["rows"]}
    styles = line_styles(list(labels))
    figure, axes = plt.subplots(2, 4, figsize=(PAGE, 0.52 * PAGE), sharex=True, layout="constrained")
    for axis, (column, title) in zip(axes.flat, PANELS.items(), strict=True):
        drawn = False
        for method, log in logs:
            if log[column].abs().max() > 0:  # a method without the term logs zeros
                style = styles[method] | {"marker": "none"}
                axis.plot(log["step"], log[column], **style, linewidth=0.8, alpha=0.85)
                drawn = True
        axis.set_title(title)
        axis.grid(alpha=0.3)
        if drawn and all((log[column] >= 0).all() for _, log in logs) and column != "grad_norm":
            axis.set_ylim(bottom=0)
    for axis in axes[-1]:
        axis.set_xlabel("step")
    used = [method for method in labels if any(method == run["method"] for run in spec["runs"])]
    handles = [Line2D([], [], **styles[method] | {"marker": "none"}) for method in used]
    figure.legend(
        handles, [figure_text(labels[method]) for method in used], loc="outside lower center", ncols=min(6, len(used))
    )
    return figure
