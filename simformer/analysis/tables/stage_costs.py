"""Time and memory of every finished stage of a study: trainings and passes over the images, by method."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from simformer.analysis.tables.numbers import number
from simformer.analysis.tables.read_table import read_table
from simformer.analysis.tables.table_text import markdown, write_page
from simformer.errors import UserError
from simformer.study.catalogue import FULL_SPLIT, Catalogue
from simformer.study.files import TAKEN
from simformer.training.record import read_record

ENDING = ".benchmark.tsv"
SEED, PART = re.compile(r"seed(\d+)"), re.compile(r"\d+of\d+")
KEYS = ["dataset", "split", "of", "stage", "seed"]
NOTE = (
    "Wall time of a stage, summed over its jobs and averaged over seeds. For a training that was interrupted, all its "
    "parts count if its train.json has the total. Memory is the peak of one process. `maps/...` is made once per "
    "dataset and seed, and every split uses it."
)


def stage_costs(catalogue: Catalogue, results: Path) -> pd.DataFrame:
    """Read the benchmark files of a study, and the train.json beside those of trainings.

    Args:
        catalogue: the study; what others have left in the same folder, or below it, is not listed.
        results: folder of the study's results.
    Returns: one line per stage and seed: dataset, split, of (method, or maps/<response>), stage, seed, jobs, seconds,
        steps (empty for passes), memory_mb, device (empty for passes).
    Raises: UserError if no stage has finished.
    """
    lines = [_line(path, results) for path in _files(catalogue, results)]
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


def _files(catalogue: Catalogue, results: Path) -> list[Path]:
    """Benchmark files of the study's methods, and of the maps and networks that serve several, below its seeds."""
    seeds = {f"seed{seed}" for seed in _seeds(catalogue)}
    rows = {row for name in catalogue.study.experiments for row in catalogue.experiment(name).methods}
    methods = {method for row in rows for method in catalogue.training_chain(row)}
    folders = [
        results / dataset / split / of
        for dataset, given in catalogue.study.datasets.items()
        for split in (FULL_SPLIT, *(f"split{number}" for number in given.splits))
        for of in (*TAKEN["method"], *methods)
    ]
    found = (path for folder in folders for path in folder.rglob(f"*{ENDING}"))
    return sorted(path for path in found if seeds & set(path.relative_to(results).parts))


def _seeds(catalogue: Catalogue) -> set[int]:
    """Seeds of the study's trainings, and of the networks behind their class maps where these have one of their own."""
    cells = [cell for name in catalogue.study.experiments for cell in catalogue.cells(name)]
    maps = [catalogue.method(method).maps for _, _, method, _ in cells]
    return {seed for *_, seed in cells} | {chosen.seed for chosen in maps if chosen and chosen.seed is not None}


def _line(path: Path, results: Path) -> dict[str, Any]:
    """Cost of one job."""
    parts = path.relative_to(results).parts
    place, seed = next((i, found[1]) for i, part in enumerate(parts) if (found := SEED.fullmatch(part)))
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
        "seed": int(seed),
        "seconds": known.get("seconds", float(measured["s"].sum())),
        "steps": known.get("steps"),
        "memory_mb": known.get("memory_mb", float(measured["max_rss"].max())),
        "device": known.get("device"),
    }


def write_stage_costs(catalogue: Catalogue, results: Path, csv: Path) -> None:
    """Write the costs of a study's stages as `csv`, and beside it, averaged over seeds, as Markdown.

    Args:
        catalogue: the study.
        results: folder of its results.
        csv: path of the csv.
    """
    table = stage_costs(catalogue, results)
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
    write_page(csv, table, ["**Time and memory per stage**", markdown(printed, "dataset"), NOTE], "%.1f")
