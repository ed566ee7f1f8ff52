"""Tables 1 to 7: mean and deviation over seeds, with the paper's numbers, as csv, Markdown and LaTeX."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simformer.analysis.markup import strong
from simformer.analysis.tables.numbers import footnote
from simformer.analysis.tables.table_text import csv_text, latex, markdown, pivot
from simformer.atomic import atomic_write_text
from simformer.data.identity import OtherRun
from simformer.errors import UserError
from simformer.machine.terminal import counted
from simformer.metrics import run_metrics
from simformer.text.to_make import to_make
from simformer.text.visible import visible

KEYS = ["dataset", "split", "method", "metric"]


def collect(spec: dict[str, Any], absent: Collection[str] = ()) -> pd.DataFrame:
    """Read the metrics of the runs of a table and aggregate them over seeds.

    Args:
        spec: `rows` (list of {method, label}), `metrics` (names), `runs` (list of {dataset, split, method, seed,
            path to metrics.json, and what `run_metrics` compares}), `reported` (dataset -> split -> method -> metric ->
            percent).
        absent: files of runs that are not there, or of other runs.
    Returns: one line per (dataset, split, method, metric), in the order of rows and metrics, with `mean`, `std`
        (sample deviation over seeds; empty for one seed), `n`, `missing` (runs whose file is absent), `reported`,
        `delta` = mean - reported; percent. A metric that no seed defines (a mean over no class, or no finished run)
        has an empty mean and n = 0.
    """
    values = pd.DataFrame([line for run in spec["runs"] for line in _lines(run, spec["metrics"], absent)])
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


def _lines(run: dict[str, Any], metrics: list[str], absent: Collection[str]) -> list[dict[str, Any]]:
    """Return one line per metric of a run; without values if it is not finished."""
    content = None if run["path"] in absent else run_metrics(run, *metrics)
    known = {k: run[k] for k in ("dataset", "split", "method", "seed")} | {"missing": content is None}
    return [known | {"metric": metric, "value": content[metric] if content else None} for metric in metrics]


def other_runs(spec: dict[str, Any]) -> list[str]:
    """Return the files that are there, but hold numbers of other settings or another split than the study's."""
    found = []
    for run in spec["runs"]:
        try:
            if Path(run["path"]).exists():
                run_metrics(run)
        except OtherRun:
            found.append(run["path"])
    return found


def write_table(spec: dict[str, Any], csv: Path, *, partial: bool = False, study: Sequence[Path] = ()) -> None:
    """Write a table as `csv`, and beside it as Markdown (.md) and LaTeX (.tex, booktabs).

    Args:
        spec: see `collect` and `table_text.pivot`; also `title`, and of a partial table `command`, which makes the
            file of a run that it is given.
        csv: path of the csv.
        partial: make the table from the runs that are there; the others, and those of other settings than the study's,
            are shown as missing, and the commands that make them are listed below the table.
        study: the study files, for what to type; default: found by the folder of the table.
    Raises: UserError if runs are missing and the table is not partial.
    """
    absent = [run["path"] for run in spec["runs"] if not Path(run["path"]).exists()]
    if absent and not partial:
        whole, without = (to_make(file, study) for file in (csv, csv.parent / "partial" / csv.name))
        raise UserError(
            f"{csv}: {len(absent)} of {len(spec['runs'])} runs are missing, first {absent[0]}; `{whole}` makes them, "
            f"`{without}` makes the table without them"
        )
    others = other_runs(spec) if partial else []
    table = collect(spec, {*absent, *others})
    seeds = sorted({run["seed"] for run in spec["runs"]})
    commands = [f"{spec['command']} {shlex.quote(target)}" for target in absent + others]
    atomic_write_text(csv, csv_text(table, "%.4f"))
    text = render(table, spec, seeds, commands, others)
    for suffix, content in text.items():
        atomic_write_text(csv.with_suffix(suffix), content)


def render(
    table: pd.DataFrame, spec: dict[str, Any], seeds: list[int], commands: list[str], others: Collection[str] = ()
) -> dict[str, str]:
    """Return a collected table as Markdown and as LaTeX, by the suffix of the file.

    Args:
        table: see `collect`.
        spec: `title`, `rows`.
        seeds: of the runs.
        commands: that make the missing runs.
        others: files of missing runs that hold numbers of other runs.
    """
    wide = pivot(table, spec)
    listed = ", ".join(map(str, seeds))
    over = (
        f"one seed: {listed}"
        if len(seeds) == 1
        else f"mean ± sample standard deviation over {len(seeds)} seeds: {listed}"
    )
    note = f"Percent; {over}."
    if table["reported"].notna().any():
        note += " Reported: the paper's numbers; delta: measured - reported."
    if ((table["n"] == 0) & (table["missing"] == 0)).any():
        note = footnote(note, ["no value"])
    parts = [strong(spec["title"]), markdown(wide, "method"), note]
    if commands:
        parts += [
            f"Missing: {counted(len(commands), 'run')}, made by",
            "\n".join(f"    {visible(command, None)}" for command in commands),
        ]
    if others:
        parts.append(
            f"{len(others)} of them are there with other settings or another split than the study's, and are not shown "
            "above; where a command finds nothing to do, as in a folder that was copied, delete that folder first:"
        )
        parts.append("\n".join(f"    {visible(other, None)}" for other in others))
    missing = [f"missing: {command}" for command in commands]
    return {".md": "\n\n".join(parts) + "\n", ".tex": latex(wide, "method", spec["title"], note, missing)}
