"""Tables 1 to 7: mean and deviation over seeds, measured beside reported, as csv, Markdown and LaTeX."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from simformer.analysis.markup import strong
from simformer.analysis.table_text import csv_text, latex, markdown, pivot
from simformer.data.files import atomic_write_text
from simformer.errors import UserError, to_make
from simformer.metrics import run_metrics
from simformer.visible import visible

KEYS = ["dataset", "split", "method", "metric"]


def collect(spec: dict[str, Any]) -> pd.DataFrame:
    """Read the metrics of the runs of a table and aggregate them over seeds.

    Args:
        spec: `rows` (list of {method, label}), `metrics` (names), `runs` (list of {dataset, split, method, seed,
            path to metrics.json, and what `run_metrics` compares}), `reported` (dataset -> split -> method -> metric ->
            percent).
    Returns: one line per (dataset, split, method, metric), in the order of rows and metrics, with `mean`, `std`
        (sample deviation over seeds; empty for one seed), `n`, `missing` (runs whose file is not there), `reported`,
        `delta` = mean - reported; percent. A metric that no seed defines (a mean over no class, or no finished run)
        has an empty mean and n = 0.
    """
    values = pd.DataFrame([line for run in spec["runs"] for line in _lines(run, spec["metrics"])])
    values["value"] = values["value"].astype(float).where(lambda value: value.abs() < math.inf)
    groups = values.groupby(KEYS, sort=False)
    table = groups["value"].agg(["mean", "std", "count"]).reset_index().rename(columns={"count": "n"})
    table["missing"] = groups["missing"].sum().to_numpy()
    table.insert(3, "label", table["method"].map({row["method"]: row["label"] for row in spec["rows"]}))
    table["reported"] = [
        spec["reported"].get(dataset, {}).get(split, {}).get(method, {}).get(metric)
        for dataset, split, method, metric in table[KEYS].itertuples(index=False)
    ]
    table["reported"] = table["reported"].astype(float)
    table["delta"] = table["mean"] - table["reported"]
    return table


def _lines(run: dict[str, Any], metrics: list[str]) -> list[dict[str, Any]]:
    """Return one line per metric of a run; without values if it is not finished."""
    path = Path(run["path"])
    content = run_metrics(run, *metrics) if path.exists() else None
    known = {k: run[k] for k in ("dataset", "split", "method", "seed")} | {"missing": content is None}
    return [known | {"metric": metric, "value": content[metric] if content else None} for metric in metrics]


def missing_runs(spec: dict[str, Any]) -> list[str]:
    """Return the files that the runs of a table lack, which are the targets that make them."""
    return [run["path"] for run in spec["runs"] if not Path(run["path"]).exists()]


def write_table(spec: dict[str, Any], csv: Path, *, partial: bool = False) -> None:
    """Write a table as `csv`, and beside it as Markdown (.md) and LaTeX (.tex, booktabs).

    Args:
        spec: see `collect` and `table_text.pivot`; also `title`, and of a partial table `command`, which makes the
            file of a run that it is given.
        csv: path of the csv.
        partial: make the table from the runs that are there; the others are shown as missing, and the commands that
            make them are listed below the table.
    Raises: UserError if runs are missing and the table is not partial.
    """
    absent = missing_runs(spec)
    if absent and not partial:
        raise UserError(
            f"{csv}: {len(absent)} of {len(spec['runs'])} runs are missing, first {absent[0]}; `{to_make(csv)}` makes "
            f"them, `{to_make(csv.parent / 'partial' / csv.name)}` makes the table without them"
        )
    table = collect(spec)
    seeds = sorted({run["seed"] for run in spec["runs"]})
    commands = [f"{spec['command']} {shlex.quote(target)}" for target in absent]
    atomic_write_text(csv, csv_text(table, "%.4f"))
    text = render(table, spec, seeds, commands)
    for suffix, content in text.items():
        atomic_write_text(csv.with_suffix(suffix), content)


def render(table: pd.DataFrame, spec: dict[str, Any], seeds: list[int], commands: list[str]) -> dict[str, str]:
    """Return a collected table as Markdown and as LaTeX, by the suffix of the file.

    Args:
        table: see `collect`.
        spec: `title`, `rows`.
        seeds: of the runs.
        commands: that make the missing runs.
    """
    wide = pivot(table, spec)
    listed = ", ".join(map(str, seeds))
    note = f"Percent; mean ± sample standard deviation over {len(seeds)} seed(s): {listed}."
    if table["reported"].notna().any():
        note += " Reported: the paper's numbers; delta: measured - reported."
    parts = [strong(spec["title"]), markdown(wide, "method"), note]
    if commands:
        parts += [
            f"Missing: {len(commands)} run(s), made by",
            "\n".join(f"    {visible(command, None)}" for command in commands),
        ]
    missing = [f"missing: {command}" for command in commands]
    return {".md": "\n\n".join(parts) + "\n", ".tex": latex(wide, "method", spec["title"], note, missing)}
