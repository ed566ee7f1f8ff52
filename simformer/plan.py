"""What a study would train, and what of it is already there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from simformer.study import FULL_SPLIT, Catalogue

Place = tuple[str, str, str, int]
"""(dataset, split, method, seed) of one training."""


def trainings(catalogue: Catalogue) -> list[Place]:
    """List every training behind the study's tables, each once: shared ones and teachers included."""
    study = catalogue.study
    methods: list[str] = []
    for name in study.experiments:
        for method in catalogue.experiment(name).methods:
            methods += catalogue.training_chain(method)
    places = [
        (dataset, FULL_SPLIT if catalogue.method(method).labels == "full" else split, method, seed)
        for dataset in study.datasets
        for split in catalogue.splits(dataset)
        for method in methods
        for seed in study.seeds
    ]
    return list(dict.fromkeys(places))


def describe(catalogue: Catalogue, folder: Callable[[Place], Path]) -> str:
    """Tell which trainings are there, changed, interrupted or still to do.

    Args:
        catalogue: the study.
        folder: run directory of a training.
    Returns: a count and one line per training.
    """
    lines = []
    places = trainings(catalogue)
    for place in places:
        run = catalogue.run(*place)
        lines.append(f"  {_status(folder(place), run.hash):<12} {run.settings.optim.steps:>7} steps  {folder(place)}")
    done = sum(line.split()[0] == "done" for line in lines)
    head = f"{catalogue.source}: {len(places)} trainings, {done} done, {len(places) - done} to do"
    return "\n".join([head, *lines])


def _status(folder: Path, config_hash: str) -> str:
    facts = folder / "train.json"
    if (folder / "model.safetensors").exists() and facts.exists():
        return "done" if json.loads(facts.read_text(encoding="utf-8"))["hash"] == config_hash else "changed"
    return "interrupted" if (folder / "state" / "state.pt").exists() else "to do"
