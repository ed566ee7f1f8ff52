"""Tables 1 to 6: mean and deviation over seeds, measured beside reported, as csv, Markdown and LaTeX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from simformer.data.files import atomic_write_text

METRIC_NAMES = {"novel": "novel mIoU", "base": "base mIoU", "all": "all mIoU"} | {
    f"{group}_{kind}{mode}": f"{group} {kind.capitalize()} F1{note}"
    for mode, note in (("", ""), ("_train", " (train-mode BN)"))
    for group in ("base", "novel")
    for kind in ("dis", "sim")
}


def collect(spec: dict[str, Any]) -> pd.DataFrame:
    """Read the metrics of every run of a table and aggregate them over seeds.

    Args:
        spec: `rows` (list of {method, label}), `metrics` (names), `runs` (list of {dataset, split, method, seed,
            path to metrics.json}), `reported` (dataset -> split -> method -> metric -> percent).
    Returns: one line per (dataset, split, method, metric), in the order of rows and metrics, with `mean`, `std`
        (sample deviation over seeds; empty for one seed), `n`, `reported`, `delta` = mean - reported; percent.
        A metric that no seed defines (a mean over no class) has an empty mean and n = 0.
    """
    values = pd.DataFrame(
        [
            {
                **{k: run[k] for k in ("dataset", "split", "method", "seed")},
                "metric": metric,
                "value": content[metric],
            }
            for run in spec["runs"]
            for content in [json.loads(Path(run["path"]).read_text(encoding="utf-8"))]
            for metric in spec["metrics"]
        ]
    )
    values["value"] = values["value"].astype(float)
    keys = ["dataset", "split", "method", "metric"]
    table = values.groupby(keys, sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    table = table.rename(columns={"count": "n"})
    table.insert(3, "label", table["method"].map({row["method"]: row["label"] for row in spec["rows"]}))
    table["reported"] = [
        spec["reported"].get(dataset, {}).get(split, {}).get(method, {}).get(metric)
        for dataset, split, method, metric in table[keys].itertuples(index=False)
    ]
    table["reported"] = table["reported"].astype(float)
    table["delta"] = table["mean"] - table["reported"]
    return table


def pivot(table: pd.DataFrame, spec: dict[str, Any]) -> pd.DataFrame:
    """Arrange the cells as printed: one line per method, one column per dataset, split and metric."""
    cells = table.assign(
        cell=[_cell(*row) for row in table[["mean", "std", "n"]].itertuples(index=False)],
        column=[f"{d} {s} {METRIC_NAMES[m]}" for d, s, m in table[["dataset", "split", "metric"]].values],
    )
    columns = list(dict.fromkeys(cells["column"]))
    reported = cells[cells["reported"].notna()].assign(
        column=lambda t: t["column"] + " (reported)", cell=lambda t: t["reported"].map("{:.1f}".format)
    )
    wide = pd.concat([cells, reported]).pivot(index="method", columns="column", values="cell")
    shown = [name for c in columns for name in (c, f"{c} (reported)") if name in wide.columns]
    wide = wide.loc[[row["method"] for row in spec["rows"]], shown].fillna("-")
    return wide.set_axis([row["label"] for row in spec["rows"]])


def _cell(mean: float, std: float, n: int) -> str:
    if n == 0:
        return "-"
    return f"{mean:.1f}" if pd.isna(std) else f"{mean:.1f} ± {std:.1f}"


def write_table(spec: dict[str, Any], csv: Path) -> None:
    """Write a table as `csv`, and beside it as Markdown (.md) and LaTeX (.tex, booktabs).

    Args:
        spec: see `collect`; also `title`.
        csv: path of the csv.
    """
    table = collect(spec)
    wide = pivot(table, spec)
    seeds = sorted({run["seed"] for run in spec["runs"]})
    note = f"Percent; mean ± sample standard deviation over {len(seeds)} seed(s): {', '.join(map(str, seeds))}."
    atomic_write_text(csv, table.to_csv(index=False, float_format="%.4f"))
    atomic_write_text(csv.with_suffix(".md"), f"**{spec['title']}**\n\n{markdown(wide, 'method')}\n\n{note}\n")
    atomic_write_text(csv.with_suffix(".tex"), _latex(wide, spec["title"], note))


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
    | {"±": r"$\pm$", "*": "$^*$"}
)


def _latex(wide: pd.DataFrame, title: str, note: str) -> str:
    def escape(text: str) -> str:
        return text.translate(LATEX)

    body = [" & ".join(map(escape, ["method", *wide.columns])) + r" \\", r"\midrule"]
    body += [" & ".join(map(escape, [label, *cells])) + r" \\" for label, *cells in wide.itertuples()]
    head = [r"\begin{table}", r"\centering", rf"\caption{{{escape(title)}. {escape(note)}}}"]
    head += [r"\begin{tabular}{l" + "r" * len(wide.columns) + "}", r"\toprule"]
    tail = [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join([*head, *body, *tail]) + "\n"
