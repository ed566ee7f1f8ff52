"""What a study would train, and what of it is already there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from simformer.study import Catalogue, Cell


def trainings(catalogue: Catalogue, experiments: Sequence[str] | None = None) -> list[Cell]:
    """List every training behind some experiments, each once: shared ones and teachers included.

    Args:
        catalogue: the study.
        experiments: their names; default: the study's.
    """
    return list(
        dict.fromkeys(
            (dataset, catalogue.trained_split(split, needed), needed, seed)
            for name in experiments or catalogue.study.experiments
            for dataset, split, method, seed in catalogue.cells(name)
            for needed in catalogue.training_chain(method)
        )
    )


def describe(catalogue: Catalogue, folder: Callable[[Cell], Path]) -> str:
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
