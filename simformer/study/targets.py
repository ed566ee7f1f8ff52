"""Which tables of a study are meant by the targets that a user names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.text.to_make import results_of, study_of

FOLDERS = (".", "partial", "figures", "intervals", "t_test", "label_quality", "diagnostics", "per_class")
"""Folders of the results that hold files called like an experiment."""


def targeted(catalogue: Catalogue, targets: Sequence[str]) -> list[str]:
    """Return the experiments behind some tables; a target without a folder is the name of one, such as table1.

    Raises: UserError for a table that lies elsewhere than in the study's results, since it is of another study.
    """
    return [_experiment(catalogue, Path(target)) for target in targets]


def _experiment(catalogue: Catalogue, target: Path) -> str:
    results = catalogue.study.results
    if target.parent != Path() and os.path.relpath(target.parent, results) not in FOLDERS:
        of = study_of(target)
        other = None if of is None or _same(results_of(of), results) else of
        hint = f"name its study: --study {other}" if other else f"name a table of this one, e.g. {_example(catalogue)}"
        raise UserError(f"{target}: not of {catalogue.source} (its results folder is {results}); {hint}")
    return target.stem


def _same(first: str | None, second: str) -> bool:
    return first is not None and os.path.abspath(first) == os.path.abspath(second)


def _example(catalogue: Catalogue) -> Path:
    return Path(catalogue.study.results, f"{catalogue.study.experiments[0]}.csv")
