"""The runs of a study: where the files of each are, and to which run a file must belong."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, TypeVar

from simformer.config.paths import expand_path
from simformer.errors import UserError
from simformer.study.catalogue import FULL_SPLIT, Catalogue, Cell
from simformer.study.result_files import ResultFiles

CELL = ("dataset", "split", "method", "seed")
"""Names of what makes a `Cell`, which are the wildcards of its files."""


@dataclass(frozen=True)
class Run:
    """One training; `hash` and `novel` are those of the study, with which its files are compared."""

    dataset: str
    split: str
    method: str
    seed: int
    hash: str
    novel: str | dict[str, Any] | None


@dataclass(frozen=True)
class ScoredRun(Run):
    """One training and the file of its numbers."""

    path: str


@dataclass(frozen=True)
class EvaluatedRun(Run):
    """One training, the shards of its evaluation and its split.yaml."""

    evaluation: tuple[str, ...]
    groups: str


@dataclass(frozen=True)
class ClassRun(ScoredRun, EvaluatedRun):
    """One training with its numbers, its evaluation and its split.yaml."""


@dataclass(frozen=True)
class LabelRun(ScoredRun):
    """One re-training with the label sets that tell how good its labels are."""

    labels: str
    masked: str
    truth: str


@dataclass(frozen=True)
class DiagnosedRun(Run):
    """One training with its network, the label set of its split, and the dataset's index, which leads to the truth."""

    model: str
    masked: str
    index: str


RunT = TypeVar("RunT", bound=Run)


class Runs:
    """The runs that a study may have.

    Args:
        catalogue: the study.
        study_files: that the user has named.
    """

    def __init__(self, catalogue: Catalogue, study_files: tuple[str, ...] = ()) -> None:
        self.catalogue, self.study_files = catalogue, study_files
        self.files = ResultFiles(catalogue.study.results, catalogue.study.data)
        self.run, self.novel = cache(self._run), cache(catalogue.novel)

    def _run(self, cell: Cell) -> Run:
        """Return whose the results of a cell must be: the hash of its training, the novel classes of its split."""
        dataset, split, method, seed = self.known(cell)
        run = self.catalogue.run(dataset, self.catalogue.trained_split(split, method), method, seed)
        return Run(*cell, run.hash, self.novel(dataset, split))

    def known(self, cell: Cell) -> Cell:
        """Return the cell; raises UserError if the study has no such dataset or split."""
        self.require(*cell[:2])
        return cell

    def require(self, dataset: str, split: str = FULL_SPLIT) -> None:
        """Raise UserError if the study has no such dataset or split."""
        if dataset not in self.catalogue.datasets:
            known = ", ".join(self.catalogue.datasets)
            raise UserError(f"{self.catalogue.source}: no dataset '{dataset}'; it has {known}")
        self.catalogue.split_json(dataset, split)

    def of(self, cell: Cell, kind: type[RunT], **files: Any) -> RunT:
        """Return a cell's run with some of its files."""
        return kind(**asdict(self.run(cell)), **files)

    def file(self, name: str, cell: Cell) -> str:
        """Return a file of a cell's own folder."""
        return self.files.run(name).format(**dict(zip(CELL, cell, strict=True)))

    def is_trained(self, cell: Cell) -> bool:
        """Whether there is a training behind a cell, and not another program's predictions."""
        return self.catalogue.method(cell[2]).labels != "none"

    def with_model(self, experiment: str, cells: Sequence[Cell]) -> list[Cell]:
        """Return those of an experiment's cells on one split that have a model; raises UserError if none has one."""
        found = [cell for cell in cells if self.is_trained(cell)]
        if not found:
            dataset, split, *_ = cells[0]
            raise UserError(
                f"{self.catalogue.root}/experiments/{experiment}.yaml: no row has a model on {dataset} {split}, only "
                "predictions of another program: it has tables, but neither pictures nor training curves"
            )
        return found

    def predictions(self, cell: Cell) -> str:
        """Return the folder of another program's predictions that a cell scores; UserError as `expand_path`."""
        dataset, split, method, seed = cell
        named = str(self.catalogue.method(method).predictions).format(dataset=dataset, split=split, seed=seed)
        return str(expand_path(named, f"method '{method}': predictions"))

    def trained(self, name: str, cell: Cell) -> str:
        """Return a file of the training whose model a cell uses; raises UserError if it has none."""
        dataset, split, method, seed = cell
        if not self.is_trained(cell):
            raise UserError(
                f"method '{method}' has no model, only predictions of another program: tables can show it, but no "
                "picture or check of models; take it out of them"
            )
        return self.file(name, (dataset, self.catalogue.trained_split(split, method), method, seed))

    def split_file(self, name: str, dataset: str, split: str) -> str:
        """Return a file of a split."""
        return self.files.split(name).format(dataset=dataset, split=split)

    def shards(self, subset: str, dataset: str) -> list[str]:
        """Name the jobs that a pass over the images of a subset is split into, e.g. 2of4."""
        count = getattr(self.catalogue.datasets[dataset].shards, subset)
        return [f"{number}of{count}" for number in range(1, count + 1)]

    def evaluated(self, cell: Cell) -> dict[str, Any]:
        """Return the shards of a cell's evaluation, and the split.yaml with which they are read."""
        file = self.trained if self.is_trained(cell) else self.file
        shards = (file(f"evaluation/{shard}.npz", cell) for shard in self.shards("test", cell[0]))
        return {"evaluation": tuple(shards), "groups": self.split_file("split.yaml", *cell[:2])}

    def labels(self, cell: Cell) -> str:
        """Return the label set that a cell is trained on."""
        dataset, split, name, seed = cell
        method = self.catalogue.method(name)
        self.trained("model.safetensors", cell)
        if method.labels == "pseudo":
            return self.file(f"pseudo{method.pseudo.suffix}/labels.json", (dataset, split, str(method.teacher), seed))
        if method.labels == "maps":
            return self.file("mixed/labels.json", cell)
        folder = {"fill": "fill", "crop": "crop"}.get(method.labels, "masked")
        return self.split_file(f"{folder}/labels.json", dataset, split)

    def to_type(self, *words: object) -> str:
        """Return what a user types to run snakemake on this study, as a shell reads it."""
        study = ["--configfile", *self.study_files] if self.study_files else []
        return shlex.join(["snakemake", *study, *map(str, words)])


NUMBERS = ("path", "evaluation")
FILES = (*NUMBERS, "groups", "labels", "model", "masked", "truth", "index")
"""Of a run: what names its files, those of its numbers first."""


def files_of_numbers(run: Run) -> list[str]:
    """Return the files of a run that hold its numbers: metrics, and the shards of its evaluation."""
    return files_of([run], NUMBERS)


def files_of(runs: Iterable[Run], names: Sequence[str] = FILES) -> list[str]:
    """Return all files that some runs name, each once; `names` are those of FILES that count."""
    named = [value for run in runs for name in names if (value := getattr(run, name, None))]
    return list(dict.fromkeys(file for value in named for file in ([value] if isinstance(value, str) else value)))
