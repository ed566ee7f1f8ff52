"""Time and memory of every stage that has finished: trainings and passes over the images, by method."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from simformer.analysis.tables.numbers import number
from simformer.analysis.tables.read_table import read_table
from simformer.analysis.tables.table_text import csv_text, markdown
from simformer.atomic import atomic_write_text
from simformer.errors import UserError
from simformer.training.record import read_record

ENDING = ".benchmark.tsv"
SEED, PART = re.compile(r"seed(\d+)"), re.compile(r"\d+of\d+")
KEYS = ["dataset", "split", "of", "stage", "seed"]
NOTE = (
    "Wall time of a stage, summed over its jobs and averaged over seeds; of a training that was interrupted, all parts "
    "where its train.json has the total. Memory is the peak of one process. `maps/...` is made once per dataset and "
    "seed, and serves every split."
)


def stage_costs(results: Path) -> pd.DataFrame:
    """Read the benchmark files of a study, and the train.json beside those of trainings.

    Args:
        results: folder of the study's results.
    Returns: one line per stage and seed: dataset, split, of (method, or maps/<response>), stage, seed, jobs, seconds,
        steps (empty for passes), memory_mb, device (empty for passes).
    Raises: UserError if no stage has finished.
    """
    lines = [line for path in sorted(results.rglob(f"*{ENDING}")) if (line := _line(path, results))]
    if not lines:
        raise UserError(f"{results}: no stage has finished there; run snakemake first")
    table = pd.DataFrame(lines).groupby(KEYS, sort=False)
    return table.agg(
        jobs=("seconds", "size"),
        seconds=("seconds", "sum"),
        steps=("steps", "max"),
        memory_mb=("memory_mb", "max"),
        device=("device", "first"),
    ).reset_index()


def _line(path: Path, results: Path) -> dict[str, Any] | None:
    """Cost of one job; None for a file that lies outside of the folder of a seed."""
    parts = path.relative_to(results).parts
    place = next((i for i, part in enumerate(parts) if SEED.fullmatch(part)), None)
    if place is None or place < 3:
        return None
    folders, stem = list(parts[place + 1 : -1]), path.name.removesuffix(ENDING)
    if not PART.fullmatch(stem) and stem not in folders[-1:]:
        folders.append(stem)
    numbers = dict.fromkeys(("s", "max_rss"), float)
    measured = read_table(path, *numbers, sep="\t", na_values=["-", "NaN", ""], dtype=numbers)
    facts = path.with_name("train.json")
    known = read_record(facts) if stem == "train" and facts.exists() else {}
    return {
        "dataset": parts[0],
        "split": parts[1],
        "of": "/".join(parts[2:place]),
        "stage": "/".join(folders),
        "seed": int(SEED.fullmatch(parts[place])[1]),
        "seconds": known.get("seconds", float(measured["s"].sum())),
        "steps": known.get("steps"),
        "memory_mb": known.get("memory_mb", float(measured["max_rss"].max())),
        "device": known.get("device"),
    }


def write_stage_costs(results: Path, csv: Path) -> None:
    """Write the costs of a study's stages as `csv`, and beside it, averaged over seeds, as Markdown.

    Args:
        results: folder of the study's results.
        csv: path of the csv.
    """
    table = stage_costs(results)
    atomic_write_text(csv, csv_text(table, "%.1f"))
    means = table.groupby(KEYS[:-1], sort=False).agg(
        jobs=("jobs", "first"),
        seconds=("seconds", "mean"),
        steps=("steps", "first"),
        memory_mb=("memory_mb", "max"),
        seeds=("seed", "size"),
        device=("device", "first"),
    )
    printed = pd.DataFrame(
        {
            "split": means.index.get_level_values("split"),
            "of": means.index.get_level_values("of"),
            "stage": means.index.get_level_values("stage"),
            "jobs": means["jobs"].astype(str).values,
            "seconds": [number(value, ".1f") for value in means["seconds"]],
            "steps": [number(value, ".0f") for value in means["steps"]],
            "peak memory, MB": [number(value, ".0f") for value in means["memory_mb"]],
            "seeds": means["seeds"].astype(str).values,
            "device": means["device"].fillna("").values,
        }
    ).set_axis(means.index.get_level_values("dataset"))
    text = f"**Time and memory per stage**\n\n{markdown(printed, 'dataset')}\n\n{NOTE}\n"
    atomic_write_text(csv.with_suffix(".md"), text)
