"""Tables as they are printed, in Markdown and in LaTeX (booktabs), with the best value of every column in bold."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simformer.analysis import markup
from simformer.analysis.tables.numbers import NONE, number, signed, with_deviation
from simformer.atomic import atomic_write_text
from simformer.text.visible import visible

METRIC_NAMES = {"novel": "novel mIoU", "base": "base mIoU", "all": "all mIoU"} | {
    f"{group}_{kind}{mode}": f"{group} {kind.capitalize()} F1{note}"
    for mode, note in (("", ""), ("_train", " (train-mode BN)"))
    for group in ("base", "novel")
    for kind in ("dis", "sim")
}
FORM = ".1f"
"""Format of the numbers of a table, in percent. Of equal printed numbers all are the best, or none."""
BOLD = "**"
"""Mark of a bold cell, before and after it, as in Markdown."""
BOLD_NUMBER = re.compile(r"\*\*(\d[^*]*)\*\*")
"""A bold cell: only numbers are bold, so that a name between stars stays a name."""


def pivot(table: pd.DataFrame, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Arrange the cells as printed: one line per method, one column per dataset, split and metric.

    The reported numbers and the differences are beside the measured ones, where the paper has any. A cell with
    fewer seeds than the others tells its n. The best measured number of a column is bold, as printed, among rows that
    are ranked. While one of their runs is missing, none is.

    Args:
        table: see `tables.collect`.
        spec: `rows` (list of {method, label, ranked}), in their order.
    """
    seeds = int((table["n"] + table["missing"]).max())
    columns = [f"{d} {s} {METRIC_NAMES[m]}" for d, s, m in table[["dataset", "split", "metric"]].values]
    cells = table.assign(column=columns, cell=[_cell(line, seeds) for line in table.to_dict("records")])
    ranked = [row["method"] for row in spec["rows"] if row["ranked"]]
    measured = (cells["n"] > 0) | (cells["missing"] > 0)
    for _, rivals in cells[cells["method"].isin(ranked) & measured].groupby("column", sort=False):
        printed = rivals["mean"].map(lambda mean: float(format(mean, FORM)))
        best = rivals.index[printed == printed.max()]
        if len(best) < len(rivals) and not rivals["missing"].any():
            cells.loc[best, "cell"] = BOLD + cells.loc[best, "cell"] + BOLD
    reported = cells[cells["reported"].notna()]
    beside = [
        reported.assign(
            column=reported["column"] + " (reported)", cell=[number(value, ".1f") for value in reported["reported"]]
        ),
        reported.assign(column=reported["column"] + " (delta)", cell=[signed(value) for value in reported["delta"]]),
    ]
    wide = pd.concat([cells, *beside]).pivot(index="method", columns="column", values="cell")
    ordered = [name for c in dict.fromkeys(columns) for name in (c, f"{c} (reported)", f"{c} (delta)")]
    wide = wide.loc[[row["method"] for row in spec["rows"]], [c for c in ordered if c in wide.columns]].fillna("-")
    return wide.set_axis([row["label"] for row in spec["rows"]])


def _cell(line: Mapping[Hashable, Any], seeds: int) -> str:
    if line["n"] == 0:
        return "missing" if line["missing"] else NONE
    value = with_deviation(line["mean"], line["std"], FORM)
    return value if line["n"] == seeds else f"{value} (n={line['n']})"


def markdown(wide: pd.DataFrame, first: str) -> str:
    """Write a table of strings as aligned Markdown; `first` heads the column of its index.

    Whatever is in the strings, each is one cell; numbers that BOLD marks are bold.
    """
    header = [markup.name(str(text)) for text in (first, *wide.columns)]
    lines = [[markup.name(str(label)), *map(_markdown_cell, cells)] for label, *cells in wide.itertuples()]
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]

    def row(cells: list[str]) -> str:
        padded = [cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
        return markup.cells(padded)

    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|"
    return "\n".join([row(header), rule, *map(row, lines)])


def _markdown_cell(cell: str) -> str:
    bold = BOLD_NUMBER.fullmatch(cell)
    return cell if bold else markup.name(cell)


def latex(wide: pd.DataFrame, first: str, title: str, note: str, comments: Sequence[str] = ()) -> str:
    """Write a table of strings as a LaTeX table (packages booktabs and graphicx), shrunk to the page if it is wider.

    Args:
        wide: the cells; bold ones are marked as in Markdown.
        first: heads the column of the index.
        title, note: together the caption.
        comments: lines that are not printed.
    """
    body = [" & ".join(markup.latex(str(text)) for text in (first, *wide.columns)) + r" \\", r"\midrule"]
    body += [
        " & ".join([markup.latex(str(label)), *map(_latex_cell, cells)]) + r" \\" for label, *cells in wide.itertuples()
    ]
    caption = ". ".join(markup.latex(text, None) for text in (title, note))
    head = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}"]
    head += [r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"]
    head += [r"\begin{tabular}{l" + "r" * len(wide.columns) + "}", r"\toprule"]
    tail = [r"\bottomrule", r"\end{tabular}}", r"\end{table}"]
    hidden = [f"% {visible(comment, None)}" for comment in comments]
    return "\n".join([*hidden, *head, *body, *tail]) + "\n"


def _latex_cell(cell: str) -> str:
    bold = BOLD_NUMBER.fullmatch(cell)
    return rf"\textbf{{{markup.latex(bold[1])}}}" if bold else markup.latex(cell)


def write_page(csv: Path, table: pd.DataFrame, parts: Sequence[str], form: str = "%.4f") -> None:
    """Write a table as csv (see `csv_text`), and beside it its page in Markdown, of which each part is a paragraph."""
    atomic_write_text(csv, csv_text(table, form))
    atomic_write_text(csv.with_suffix(".md"), "\n\n".join(parts) + "\n")


def csv_text(table: pd.DataFrame, form: str) -> str:
    """Return a table as csv: a number that is not there, or not finite, is an empty cell; names are as they are.

    A carriage return, which readers take for the end of a line, is a line break like any other. A name that begins
    with =, +, - or @ is not changed: the files are read by programs. A spreadsheet must import its column as text.

    Args:
        table: numbers and names.
        form: of numbers with a fraction, e.g. "%.4f".
    """
    finite = table.replace([math.inf, -math.inf], math.nan).replace(r"\r\n?", "\n", regex=True)
    text = finite.to_csv(index=False, float_format=form, lineterminator="\n")
    return text.encode("utf-8", "replace").decode("utf-8")
