"""The experiment files: studies, datasets, methods and experiments, and the runs that they ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from simformer.config import RunConfig, merge, parse, parse_layers, read_yaml
from simformer.errors import UserError
from simformer.settings import Count, InferenceSettings, Settings, TrainSettings
from simformer.sources import Expected, Source

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Cell = tuple[str, str, str, int]
"""(dataset, split, method, seed) of one result."""
METRICS = {
    "iou": ("novel", "base", "all"),
    "simnet_f1": tuple(
        f"{g}_{kind}{mode}" for mode in ("", "_train") for g in ("base", "novel") for kind in ("dis", "sim")
    ),
}
"""Columns that a table can have, by measure."""
FULL_SPLIT = "full"
"""Name of the split in which no class is novel; trainings on it are shared by all splits."""


class SplitSpec(Settings):
    """How one base/novel split comes about: a list of names, a pinned file, or a seed and a ratio."""

    novel: tuple[str, ...] | None = Field(None, description="Novel classes by name.")
    base: tuple[str, ...] | None = Field(None, description="Base classes by name; default: all others.")
    file: str | None = Field(None, description="Pinned split file with `novel` (names and ids).")
    seed: int | None = Field(None, ge=0, description="Seed of a random split.")
    ratio: tuple[Count, Count] = Field((3, 1), description="Base : novel classes of a random split.")
    only: tuple[Name, ...] | None = Field(
        None, description="Experiments that use this split; default: all that do not list their splits themselves."
    )

    @model_validator(mode="after")
    def _one_way(self) -> SplitSpec:
        given = [name for name in ("novel", "file", "seed") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of novel, file, seed (found {found}), e.g. {{seed: 7, ratio: [3, 1]}}")
        if self.novel is not None and not self.novel:
            raise ValueError("the list of novel classes is empty; name at least one class")
        if self.seed is not None and self.base is not None:
            raise ValueError("a random split (seed) draws the base classes itself; remove base")
        both = sorted(set(self.novel or ()) & set(self.base or ()))
        if both:
            raise ValueError(f"classes both base and novel: {', '.join(both)}; keep each in one list")
        return self


class DatasetFile(Settings):
    """config/datasets/<name>.yaml"""

    title: str = Field(description="Full name, for readers of this file; tables show the file's name.")
    source: Source = Field(description="Where images and labels come from.")
    expect: Expected = Field(Expected(), description="Published counts, checked by the audit.")
    inference: InferenceSettings = Field(InferenceSettings(), description="Inference settings.")
    settings: dict[str, dict[str, Any]] = Field({}, description="Training settings that differ from the defaults.")


class MethodFile(Settings):
    """config/methods/<name>.yaml: one row of a table; only what differs from its parent."""

    label: str = Field(description="Name shown in tables.")
    inherits: Name | None = Field(
        None,
        description="Parent method: its settings are taken over, and its labels and teacher unless `labels` is given.",
    )
    labels: Literal["weak", "crop", "full", "pseudo", "fill"] = Field(
        "weak",
        description="weak: novel masks hidden, image-level labels of the whole image; crop: as released, novel labels "
        "of each training crop instead, for which hidden pixels are looked at; full: all masks; pseudo: predicted by "
        "`teacher`; "
        "fill: the not-base region split among the present novel classes.",
    )
    teacher: Name | None = Field(None, description="Method whose predictions label the novel pixels.")
    settings: dict[str, dict[str, Any]] = Field({}, description="Training settings that differ.")
    datasets: dict[Name, dict[str, dict[str, Any]]] = Field({}, description="Training settings on one dataset alone.")
    splits: dict[Name, dict[Annotated[int, Field(ge=0)], dict[str, dict[str, Any]]]] = Field(
        {}, description="Training settings on one split of one dataset alone."
    )

    @model_validator(mode="after")
    def _teacher(self) -> MethodFile:
        if (self.labels == "pseudo") != (self.teacher is not None):
            raise ValueError("`teacher` goes with `labels: pseudo`, and only with it")
        return self


class ExperimentFile(Settings):
    """config/experiments/<name>.yaml: the rows of one table, and what the paper reports."""

    title: str = Field(description="Caption of the table.")
    methods: tuple[Name, ...] = Field(min_length=1, description="Rows, top to bottom.")
    measure: Literal["iou", "simnet_f1"] = Field(
        "iou",
        description="iou: mean IoU on the test images; simnet_f1: F1 of SimNet on pixel pairs (Table 3).",
    )
    metrics: tuple[str, ...] = Field(
        ("novel", "base", "all"),
        description="Columns, percent. iou: novel, base, all; simnet_f1: base_dis, base_sim, novel_dis, novel_sim, and "
        "the same with suffix _train (batch norm in train mode, as the teacher of L_dist).",
    )
    splits: dict[Name, tuple[Annotated[int, Field(ge=0)], ...]] = Field(
        {},
        description="Splits of these datasets, as far as the study has them (an empty list leaves the dataset out); "
        "of a dataset that is not named here, all splits of the study.",
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None, min_length=1, description="Training seeds; default: those of the study."
    )
    reported: dict[str, dict[str, dict[str, dict[str, float]]]] = Field(
        {}, description="Paper's numbers: dataset -> split -> method -> metric."
    )

    @model_validator(mode="after")
    def _known_metrics(self) -> ExperimentFile:
        if unknown := sorted(set(self.metrics) - set(METRICS[self.measure])):
            known = ", ".join(METRICS[self.measure])
            raise ValueError(f"metrics {', '.join(unknown)} do not belong to measure '{self.measure}'; it has {known}")
        return self

    @model_validator(mode="after")
    def _distinct_methods(self) -> ExperimentFile:
        if len(set(self.methods)) != len(self.methods):
            raise ValueError(f"methods has doubles: {', '.join(self.methods)}")
        return self


class StudyDataset(Settings):
    """One dataset of a study."""

    splits: dict[Annotated[int, Field(ge=0)], SplitSpec] = Field(min_length=1, description="Splits by number.")
    source: dict[str, Any] = Field({}, description="Overrides of the dataset file's `source`.")
    expect: dict[str, Any] = Field({}, description="Overrides of the dataset file's `expect`.")
    inference: dict[str, Any] = Field({}, description="Overrides of the dataset file's `inference`.")
    settings: dict[str, dict[str, Any]] = Field(
        {}, description="Training settings here; a method's own settings win over them."
    )


class Study(Settings):
    """config/config.yaml, config/demo.yaml, ...: which experiments to run on what, and where things lie."""

    results: str = Field("results", description="Folder of all results.")
    data: str = Field("data", description="Folder of the prepared datasets.")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1, description="Training seeds.")
    datasets: dict[Name, StudyDataset] = Field(min_length=1, description="Datasets and their splits.")
    experiments: tuple[Name, ...] = Field(("table1",), min_length=1, description="Tables to make by default.")

    @model_validator(mode="after")
    def _distinct_seeds(self) -> Study:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds has doubles: {list(self.seeds)}")
        return self


class Catalogue:
    """A study together with the dataset, method and experiment files that it names.

    Args:
        content: the study as read from YAML (Snakemake's `config`).
        source: name of the study file, for errors.
        root: folder with `datasets/`, `methods/`, `experiments/`.
    Raises: UserError for every mistake in any of the files.
    """

    def __init__(self, content: Mapping[str, Any], source: str, root: Path = Path("config")) -> None:
        self.root = root
        self.source = source
        self.study = parse(Study, content, source)
        self.datasets = {name: self._dataset(name) for name in self.study.datasets}
        self._methods: dict[str, MethodFile] = {}
        for name in self.study.experiments:
            self.cells(name)

    def experiment(self, name: str) -> ExperimentFile:
        """Return a table's rows, after resolving every run behind them on every dataset."""
        path = self._path("experiments", name)
        table = parse(ExperimentFile, read_yaml(path), str(path))
        for method in table.methods:
            for needed in self.training_chain(method):
                for dataset in self.datasets:
                    self.run(dataset, FULL_SPLIT, needed, 0)
        named = {m for splits in table.reported.values() for rows in splits.values() for m in rows}
        if unknown := sorted(named - set(table.methods)):
            raise UserError(f"{path}: reported numbers for {', '.join(unknown)}, which is not a row of the table")
        return table

    def cells(self, name: str) -> list[Cell]:
        """Return every result that an experiment shows: datasets and splits first, then rows, then seeds."""
        table = self.experiment(name)
        found = [
            (dataset, f"split{number}", method, seed)
            for dataset, mine in self.study.datasets.items()
            for number, split in mine.splits.items()
            if (
                number in table.splits[dataset] if dataset in table.splits else split.only is None or name in split.only
            )
            for method in table.methods
            for seed in table.seeds or self.study.seeds
        ]
        if not found:
            asked = "; ".join(f"{dataset} {list(splits)}" for dataset, splits in table.splits.items()) or "any"
            raise UserError(
                f"{self.source}: no split for experiment '{name}', which uses {asked}; "
                "add one under `datasets`, or take the experiment out of `experiments`"
            )
        return found

    def trained_split(self, split: str, method: str) -> str:
        """Return the split in which a method is trained: those that see every mask serve all splits."""
        return FULL_SPLIT if self.method(method).labels == "full" else split

    def method(self, name: str) -> MethodFile:
        """Return a method; one that names no `labels` has its parent's, and with them the teacher."""
        lineage = [self._methods[ancestor] for ancestor in self._lineage(name)]
        named = [method for method in lineage if "labels" in method.model_fields_set] or lineage
        return lineage[-1].model_copy(update={"labels": named[-1].labels, "teacher": named[-1].teacher})

    def training_chain(self, method: str) -> list[str]:
        """Return a method's teachers, the first to be trained first, and the method itself."""
        chain: list[str] = []
        following: str | None = method
        while following is not None:
            if following in chain:
                raise UserError(
                    f"{self._path('methods', method)}: teachers in a circle: {' -> '.join([*chain, following])}"
                )
            chain.append(following)
            following = self.method(following).teacher
            if following is not None and self.method(following).labels == "full":
                raise UserError(
                    f"{self._path('methods', chain[-1])}: teacher '{following}' is trained on all masks; "
                    "a teacher of weak-shot methods must not see novel masks"
                )
        return chain[::-1]

    def run(self, dataset: str, split: str, method: str, seed: int) -> RunConfig:
        """Resolve the settings of one training (merge order: see `simformer.config`)."""
        chosen = self.method(method)
        layers = [
            (str(self._path("datasets", dataset)), self.datasets[dataset].settings),
            (f"{self.source}: datasets.{dataset}", self.study.datasets[dataset].settings),
            *(layer for ancestor in self._lineage(method) for layer in self._layers(ancestor, dataset, split)),
        ]
        settings = parse_layers(TrainSettings, layers, "settings")
        return RunConfig(
            dataset=dataset, split=split, method=method, seed=seed, labels=chosen.labels, settings=settings
        )

    def split_json(self, dataset: str, split: str) -> str:
        """Return the specification of a split as canonical JSON ('full' has no novel class)."""
        if split == FULL_SPLIT:
            return json.dumps({"full": True})
        number = int(split.removeprefix("split"))
        spec = self.study.datasets[dataset].splits.get(number)
        if spec is None:
            known = ", ".join(f"split{k}" for k in self.study.datasets[dataset].splits)
            raise UserError(f"{self.source}: dataset '{dataset}' has no {split}; it has {known}")
        content = spec.model_dump(mode="json", exclude={"only"})
        return json.dumps(content | {k: sorted(content[k]) for k in ("novel", "base") if content[k]}, sort_keys=True)

    def _dataset(self, name: str) -> DatasetFile:
        path = self._path("datasets", name)
        content = read_yaml(path)
        mine = self.study.datasets[name]
        merged = merge(content, {"source": mine.source, "expect": mine.expect, "inference": mine.inference})
        parse(DatasetFile, content, str(path))
        return parse(DatasetFile, merged, f"{self.source}: datasets.{name}")

    def _layers(self, method: str, dataset: str, split: str) -> list[tuple[str, dict]]:
        """Return the settings that a method file gives a run: for all, for its dataset, for its split."""
        path, file = self._path("methods", method), self._methods[method]
        number = None if split == FULL_SPLIT else int(split.removeprefix("split"))
        return [
            (str(path), file.settings),
            (f"{path}: datasets.{dataset}", file.datasets.get(dataset, {})),
            (f"{path}: splits.{dataset}.{number}", file.splits.get(dataset, {}).get(number, {})),
        ]

    def _lineage(self, name: str) -> list[str]:
        """Names of a method's ancestors, the oldest first, and its own; their files are read and kept."""
        names: list[str] = []
        following: str | None = name
        while following is not None:
            path = self._path("methods", following)
            if following in names:
                raise UserError(f"{path}: methods inherit in a circle: {' -> '.join([*names, following])}")
            if following not in self._methods:
                self._methods[following] = self._method_file(path)
            names.append(following)
            following = self._methods[following].inherits
        return names[::-1]

    def _method_file(self, path: Path) -> MethodFile:
        """Read one method file; its settings for a dataset must name a dataset, and none may choose weights."""
        file = parse(MethodFile, read_yaml(path), str(path))
        for dataset in (*file.datasets, *file.splits):
            read_yaml(self._path("datasets", dataset))
        of_splits = (settings for splits in file.splits.values() for settings in splits.values())
        if any("weights" in s.get("model", {}) for s in (file.settings, *file.datasets.values(), *of_splits)):
            raise UserError(
                f"{path}: 'settings.model.weights' belongs to the dataset's file: "
                "all methods of a dataset start from the same weights"
            )
        return file

    def _path(self, folder: str, name: str) -> Path:
        return self.root / folder / f"{name}.yaml"
