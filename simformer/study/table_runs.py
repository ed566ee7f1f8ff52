"""What the tables of a study, and the figures that are drawn from tables, are made from.

Each function returns the specification that a function of `simformer.analysis` takes, of the runs that the study has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from simformer.errors import UserError
from simformer.study.catalogue import Cell
from simformer.study.files import MEASURE_FILES, ExperimentFile
from simformer.study.runs import ClassRun, DiagnosedRun, EvaluatedRun, LabelRun, Run, Runs, ScoredRun
from simformer.study.sweeps import swept

Specification = dict[str, Any]
ScoredT = TypeVar("ScoredT", bound=ScoredRun)
MADE_LABELS = ("fill", "maps", "pseudo")
"""Labels of methods whose novel pixels are labelled before the training."""


@dataclass(frozen=True)
class Row:
    """A method of a table; one that sees every mask is not ranked among the others."""

    method: str
    label: str
    ranked: bool


def table(runs: Runs, name: str) -> Specification:
    """Return what `write_table` takes."""
    cells = runs.catalogue.cells(name)
    return _shown(runs, name, [_scored(runs, name, cell, ScoredRun) for cell in cells], "metrics", "reported")


def partial_table(runs: Runs, name: str) -> Specification:
    """Return what `write_table` takes for a table of the runs that are there."""
    return table(runs, name) | {"command": runs.to_type("--cores", 1)}


def intervals(runs: Runs, name: str) -> Specification:
    """Return what `write_intervals` takes: the rows that a table compares."""
    cells = _compared(runs, name)
    found = [runs.of(cell, EvaluatedRun, **runs.evaluated(cell)) for cell in cells]
    return _shown(runs, name, found, "metrics", "compare")


def t_test(runs: Runs, name: str) -> Specification:
    """Return what `write_t_tests` takes; raises UserError for a table that compares no rows."""
    found = [_scored(runs, name, cell, ScoredRun) for cell in _compared(runs, name)]
    if not found:
        example = "add e.g. compare: [[simformer_retrained, psa_retrained]]"
        raise UserError(f"{_place(runs, name)}: names no pairs to test; {example}")
    return _shown(runs, name, found, "metrics", "compare", "reported", "published_std", "published_p")


def per_class(runs: Runs, name: str) -> Specification:
    """Return what `write_per_class` takes; raises UserError for a table of another measure than IoU."""
    if not has_iou(runs, name):
        raise UserError(f"{_place(runs, name)}: measure '{runs.catalogue.experiment(name).measure}' has no IoU")
    return _shown(runs, name, _class_runs(runs, name))


def comparison(runs: Runs, name: str) -> Specification:
    """Return what `draw_comparison` takes; the runs give error bars to a figure of one seed."""
    found = _class_runs(runs, name) if has_iou(runs, name) else []
    return {"title": runs.catalogue.experiment(name).title, "runs": found}


def label_quality(runs: Runs, name: str) -> Specification:
    """Return what `write_label_quality` takes: the runs that were trained on made labels.

    Raises: UserError for a table with fewer than two methods of this kind.
    """
    cells = _on_made_labels(runs, name)
    if not has_label_quality(runs, name):
        raise UserError(f"{_place(runs, name)}: fewer than two methods are re-trained on labels of their own")
    found = [
        _scored(
            runs,
            name,
            cell,
            LabelRun,
            labels=runs.labels(cell),
            masked=runs.split_file("masked/labels.json", *cell[:2]),
            truth=runs.files.full("masked/labels.json").format(dataset=cell[0]),
        )
        for cell in cells
    ]
    return _shown(runs, name, found)


def has_label_quality(runs: Runs, name: str) -> bool:
    """Return whether a table has two methods that were trained on made labels, whose quality can be compared."""
    return len({method for _, _, method, _ in _on_made_labels(runs, name)}) >= 2


def _on_made_labels(runs: Runs, name: str) -> list[Cell]:
    return [cell for cell in runs.catalogue.cells(name) if runs.catalogue.method(cell[2]).labels in MADE_LABELS]


def diagnostics(runs: Runs, name: str) -> Specification:
    """Return what `write_diagnostics` takes: the networks of all rows that have one."""
    cells = [cell for cell in runs.catalogue.cells(name) if runs.is_trained(cell)]
    found = [
        runs.of(
            cell,
            DiagnosedRun,
            model=runs.trained("model.safetensors", cell),
            masked=runs.split_file("masked/labels.json", *cell[:2]),
            index=runs.files.data("index.json").format(dataset=cell[0]),
        )
        for cell in cells
    ]
    used = dict.fromkeys(cell[0] for cell in cells)
    inference = {dataset: runs.catalogue.datasets[dataset].inference.model_dump(mode="json") for dataset in used}
    return _shown(runs, name, found) | {"inference": inference}


def curves(runs: Runs, name: str, dataset: str, split: str) -> Specification:
    """Return what `curves_figure` takes: the runs of one split with their training logs.

    Raises: UserError for a split that the table does not use, and for one without a training.
    """
    cells = [cell for cell in runs.catalogue.cells(name) if cell[:2] == (dataset, split)]
    if not cells:
        raise UserError(f"experiment '{name}' has no {dataset} {split}")
    trained = runs.with_model(name, cells)
    found = [runs.of(cell, ScoredRun, path=runs.trained("log.csv", cell)) for cell in trained]
    specification = _shown(runs, name, found)
    return specification | {"title": f"{specification['title']}: training"}


def sweep(runs: Runs, name: str) -> Specification:
    """Return what `draw_sweeps` takes: panels by dataset, split, setting and method."""
    panels: dict[str, dict[str, Any]] = {}
    for dataset, split in dict.fromkeys(cell[:2] for cell in runs.catalogue.cells(name)):
        panels.setdefault(dataset, {})[split] = swept(runs.catalogue, name, dataset, split)
    experiment = runs.catalogue.experiment(name)
    return {"title": experiment.title, "reference": experiment.methods[0], "panels": panels}


def has_iou(runs: Runs, name: str) -> bool:
    """Return whether an experiment's runs are scored on test images."""
    return runs.catalogue.experiment(name).measure == "iou"


def rows(runs: Runs, experiment: ExperimentFile) -> list[Row]:
    """Return the rows of a table, or the columns of a figure."""
    methods = {name: runs.catalogue.method(name) for name in experiment.methods}
    return [Row(name, method.label, method.labels != "full") for name, method in methods.items()]


def _shown(runs: Runs, name: str, found: Iterable[Run], *fields: str) -> Specification:
    experiment = runs.catalogue.experiment(name)
    content = experiment.model_dump(mode="json", include={"title", *fields})
    return content | {"rows": rows(runs, experiment), "runs": list(found)}


def _scored(runs: Runs, name: str, cell: Cell, kind: type[ScoredT], **files: Any) -> ScoredT:
    path = runs.file(MEASURE_FILES[runs.catalogue.experiment(name).measure], cell)
    return runs.of(cell, kind, path=path, **files)


def _class_runs(runs: Runs, name: str) -> list[ClassRun]:
    return [_scored(runs, name, cell, ClassRun, **runs.evaluated(cell)) for cell in runs.catalogue.cells(name)]


def _compared(runs: Runs, name: str) -> list[Cell]:
    """Return the cells of the rows that a table compares."""
    compared = {method for pair in runs.catalogue.experiment(name).compare for method in pair}
    return [cell for cell in runs.catalogue.cells(name) if cell[2] in compared]


def _place(runs: Runs, name: str) -> str:
    return f"{runs.catalogue.root}/experiments/{name}.yaml"
