"""Saved states of trainings that are not done, and which of them the next run refuses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from simformer.data.labels import LabelSet
from simformer.errors import UserError
from simformer.study.catalogue import Cell
from simformer.study.initial_weights import weights_file
from simformer.study.runs import Runs
from simformer.training.record import INPUTS, belongs, file_hash, state_record


def is_refused(runs: Runs, cell: Cell, folder: Path) -> bool:
    """Return whether the next run refuses the saved state in a run directory.

    It does if the state is of other settings or novel classes than the study's, or of other labels or initial weights
    than those that are there. What is not there, or is damaged, is not compared, nor what an older state does not tell.
    """
    record = state_record(folder)
    if not belongs(record, folder, runs.run(cell).hash, runs.novel(*cell[:2])):
        return True
    told = record.get(INPUTS, {})
    return any(name in told and told[name] != now for name, now in _inputs(runs, cell))


def what_to_do(folder: Path) -> str:
    """Return what to do about a saved state that the next run refuses."""
    return (
        f"{folder}: of other settings, novel classes, labels or initial weights than the study's, so the next run "
        "refuses it; delete that folder to start over, or restore what was changed to continue"
    )


def _inputs(runs: Runs, cell: Cell) -> Iterator[tuple[str, str]]:
    """Yield the hashes of what a training reads, by the names that its state gives them, as far as it is there."""
    labels, model = Path(runs.labels(cell)), runs.catalogue.run(*cell).settings.model
    if labels.exists() and (found := _labels(labels, labels.stat().st_mtime_ns)):
        yield "labels", found
    weights = weights_file(runs.catalogue, cell[0], model.backbone)
    if model.weights != "none" and weights.is_file():
        yield "initial weights", _weights(weights, weights.stat().st_mtime_ns)


@cache
def _labels(path: Path, time: int) -> str | None:
    """Return the hash of a label set that was written at some time; None if it is damaged."""
    try:
        return LabelSet.load(path).hash
    except UserError:
        return None


@cache
def _weights(path: Path, time: int) -> str:
    """Return the hash of initial weights that were written at some time."""
    return file_hash(path)
