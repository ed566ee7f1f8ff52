"""Which tables of a study are meant by the targets that a user names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from simformer.errors import UserError, did_you_mean
from simformer.study.catalogue import Catalogue
from simformer.text.to_make import results_of, study_of

FOLDERS = (".", "partial", "figures", "intervals", "t_test", "label_quality", "diagnostics", "per_class")
"""Folders of the results that hold files called like an experiment."""
PICTURES = ("comparison", "gallery", "curves")
"""What comes before an experiment's name in the name of a picture that is made for it, e.g. gallery.table1.png."""


def targeted(catalogue: Catalogue, targets: Sequence[str]) -> list[str]:
    """Return the experiments behind some tables, and behind statistics, figures and pictures that are made for one.

    A target without a folder is the name of an experiment, such as table1.

    Raises: UserError for a file that lies elsewhere than in the study's results, since it is of another study, and for
        one that no experiment is behind, such as a figure of chosen images.
    """
    return [_experiment(catalogue, Path(target)) for target in targets]


def _experiment(catalogue: Catalogue, target: Path) -> str:
    results = catalogue.study.results
    if target.parent != Path() and _same(str(target), results):
        raise UserError(
            f"{target}: the results folder of {catalogue.source}; name a table in it, e.g. {_example(catalogue)}"
        )
    inside = os.path.relpath(target.parent, results)
    of_dataset = inside.split(os.sep)[0] in catalogue.datasets
    if target.parent != Path() and inside not in FOLDERS and not of_dataset:
        of = study_of(target)
        other = None if of is None or _same(results_of(of), results) else of
        hint = f"name its study: --study {other}" if other else f"name a table of this one, e.g. {_example(catalogue)}"
        raise UserError(f"{target}: not of {catalogue.source} (its results folder is {results}); {hint}")
    kind, _, table = target.stem.partition(".")
    name = table if kind in PICTURES else target.stem
    known = [path.stem for path in (catalogue.root / "experiments").glob("*.yaml")]
    if name not in known:
        own = ", ".join(catalogue.study.experiments)
        hint = did_you_mean(name, known, f"Name a table; {catalogue.source} has {own}")
        raise UserError(f"{target}: '{name}' is not a table, and only tables have a plan and a status{hint}")
    return name


def _same(first: str | None, second: str) -> bool:
    return first is not None and os.path.abspath(first) == os.path.abspath(second)


def _example(catalogue: Catalogue) -> Path:
    return Path(catalogue.study.results, f"{catalogue.study.experiments[0]}.csv")
