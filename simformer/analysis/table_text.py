"""Tables as they are printed: cells of text in Markdown and in LaTeX (booktabs), the best of every column in bold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

METRIC_NAMES = {"novel": "novel mIoU", "base": "base mIoU", "all": "all mIoU"} | {
    f"{group}_{kind}{mode}": f"{group} {kind.capitalize()} F1{note}"
    for mode, note in (("", ""), ("_train", " (train-mode BN)"))
    for group in ("base", "novel")
    for kind in ("dis", "sim")
}
BOLD = "**"
"""Mark of a bold cell, before and after it, as in Markdown."""


def pivot(table: pd.DataFrame, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Arrange the cells as printed: one line per method, one column per dataset, split and metric.

    Beside the measured numbers stand the reported ones and the differences, where the paper has any. A cell with
    fewer seeds than the others tells its n. The best measured number of a column is bold, among rows that are ranked.

    Args:
        table: see `tables.collect`.
        spec: `rows` (list of {method, label, ranked}), in their order.
    """
    seeds = int((table["n"] + table["missing"]).max())
    columns = [f"{d} {s} {METRIC_NAMES[m]}" for d, s, m in table[["dataset", "split", "metric"]].values]
    cells = table.assign(column=columns, cell=[_cell(line, seeds) for line in table.to_dict("records")])
    ranked = [row["method"] for row in spec["rows"] if row["ranked"]]
    for _, rivals in cells[cells["method"].isin(ranked) & (cells["n"] > 0)].groupby("column", sort=False):
        printed = rivals["mean"].round(1)
        best = rivals.index[printed == printed.max()]
        if len(best) < len(rivals):
            cells.loc[best, "cell"] = BOLD + cells.loc[best, "cell"] + BOLD
    reported = cells[cells["reported"].notna()]
    beside = [
        reported.assign(column=reported["column"] + " (reported)", cell=reported["reported"].map("{:.1f}".format)),
        reported.assign(column=reported["column"] + " (delta)", cell=reported["delta"].map(_difference)),
    ]
    wide = pd.concat([cells, *beside]).pivot(index="method", columns="column", values="cell")
    ordered = [name for c in dict.fromkeys(columns) for name in (c, f"{c} (reported)", f"{c} (delta)")]
    wide = wide.loc[[row["method"] for row in spec["rows"]], [c for c in ordered if c in wide.columns]].fillna("-")
    return wide.set_axis([row["label"] for row in spec["rows"]])


def _cell(line: Mapping[str, Any], seeds: int) -> str:
    if line["n"] == 0:
        return "missing" if line["missing"] else "-"
    value = f"{line['mean']:.1f}" if pd.isna(line["std"]) else f"{line['mean']:.1f} ± {line['std']:.1f}"
    return value if line["n"] == seeds else f"{value} (n={line['n']})"


def _difference(delta: float) -> str:
    return "-" if pd.isna(delta) else f"{delta:+.1f}"


def markdown(wide: pd.DataFrame, first: str) -> str:
    """Write a table of strings as aligned Markdown; `first` heads the column of its index."""
    header = [first, *wide.columns]
    lines = [[label, *cells] for label, *cells in wide.itertuples()]
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]

    def row(cells: list[str]) -> str:
        padded = [cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|"
    return "\n".join([row(header), rule, *map(row, lines)])


LATEX = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"±": r"$\pm$", "*": "$^*$", "<": "$<$", ">": "$>$"}
)


def escape(text: str) -> str:
    """Return a text as LaTeX prints it."""
    return text.translate(LATEX)


def latex(wide: pd.DataFrame, first: str, title: str, note: str, comments: Sequence[str] = ()) -> str:
    """Write a table of strings as a LaTeX table (packages booktabs and graphicx), shrunk to the page if it is wider.

    Args:
        wide: the cells; bold ones are marked as in Markdown.
        first: heads the column of the index.
        title, note: together the caption.
        comments: lines that are not printed.
    """
    body = [" & ".join(map(escape, [first, *wide.columns])) + r" \\", r"\midrule"]
    body += [" & ".join([escape(label), *map(_latex_cell, cells)]) + r" \\" for label, *cells in wide.itertuples()]
    head = [r"\begin{table}", r"\centering", rf"\caption{{{escape(title)}. {escape(note)}}}"]
    head += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    head += [r"\begin{tabular}{l" + "r" * len(wide.columns) + "}", r"\toprule"]
    tail = [r"\bottomrule", r"\end{tabular}}", r"\end{table}"]
    return "\n".join([*(f"% {comment}" for comment in comments), *head, *body, *tail]) + "\n"


def _latex_cell(cell: str) -> str:
    if cell.startswith(BOLD) and cell.endswith(BOLD):
        return rf"\textbf{{{escape(cell.removeprefix(BOLD).removesuffix(BOLD))}}}"
    return escape(cell)
