"""A study read together with the files that it names: which runs it asks for, and their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from simformer.baselines.conta.rounds import FAMILIES, FIRST, ROUNDS, Round
from simformer.baselines.conta.settings import ContextClassifierSettings
from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.responses import RESPONSES
from simformer.baselines.settings import NetworkSettings, NetworkSpec, dilatable, of_settings
from simformer.config.layers import RunConfig, check_layer, merge, parse, parse_layers, read_yaml
from simformer.config.paths import config_folder, expand_path
from simformer.config.settings import ModelSettings, TrainSettings
from simformer.data.splits import names_hash, read_pinned
from simformer.errors import UserError
from simformer.study.files import DatasetFile, ExperimentFile, FigureFile, MethodFile, Study
from simformer.study.names import refuse_misspelt_dataset, require_distinct_labels, require_file

Cell = tuple[str, str, str, int]
"""(dataset, split, method, seed) of one result."""
FULL_SPLIT = "full"
"""Name of the split in which no class is novel; trainings on it are shared by all splits."""


class Catalogue:
    """A study together with the dataset, method and experiment files that it names.

    Args:
        content: the study as read from YAML (Snakemake's `config`).
        source: name of the study file, for errors.
        root: folder with `datasets/`, `methods/`, `experiments/`.
    Raises: UserError for every mistake in any of the files.
    """

    def __init__(self, content: Mapping[str, Any], source: str, root: Path) -> None:
        self.root = root
        self.source = source
        if "datasets" not in content and set(content) <= set(Study.model_fields):
            raise UserError(
                f"{source}: key 'datasets' is missing; a study replaces config/config.yaml, it is not merged into it: "
                "copy its `datasets` with the splits that you want"
            )
        self.study = parse(Study, content, source)
        for key, names in ("datasets", self.study.datasets), ("experiments", self.study.experiments):
            for name in names:
                require_file(root, key, name, f"{source}: {key}")
        self.datasets = {name: self._dataset(name) for name in self.study.datasets}
        self._methods: dict[str, MethodFile] = {}
        self.experiment, self.baselines = cache(self._experiment), cache(self._baselines)
        self._pinned = cache(read_pinned)
        for name in self.study.datasets:
            for response in RESPONSES:
                self.baselines(name, response)
        for name in self.study.experiments:
            self.cells(name)
        for name in self.study.figures:
            require_file(root, "figures", name, f"{source}: figures")
            self.figure(name)

    @classmethod
    def read(cls, study: Path) -> Catalogue:
        """Read a study file and what it names, from the folder that Snakemake uses too (`config_folder`)."""
        return cls(read_yaml(study), str(study), config_folder([study]))

    def _experiment(self, name: str) -> ExperimentFile:
        """Return a table's rows, after resolving every run behind them on every dataset."""
        path = self._path("experiments", name)
        table = parse(ExperimentFile, read_yaml(path), str(path))
        for method in table.methods:
            require_file(self.root, "methods", method, f"{path}: methods")
            for needed in self.training_chain(method):
                for dataset in self.datasets:
                    self.run(dataset, FULL_SPLIT, needed, 0)
        self._distinct_labels(path, table.methods)
        for dataset in (*table.splits, *table.reported, *table.published_std, *table.published_p):
            refuse_misspelt_dataset(self.root, dataset, path)
        return table

    def cells(self, name: str) -> list[Cell]:
        """Return every result that an experiment shows: datasets and splits first, then rows, then seeds.

        A method whose predictions do not depend on the seed has one result, not one per seed.
        Raises: UserError if the study has no split for the experiment.
        """
        table = self.experiment(name)
        found = [
            (dataset, f"split{number}", method, seed)
            for dataset, mine in self.study.datasets.items()
            for number, split in mine.splits.items()
            if (
                number in table.splits[dataset] if dataset in table.splits else split.only is None or name in split.only
            )
            for method in table.methods
            for seed in self._distinct_seeds(dataset, f"split{number}", method, table.seeds or self.study.seeds)
        ]
        if not found:
            asked = "; ".join(f"{dataset} {list(splits)}" for dataset, splits in table.splits.items()) or "any"
            raise UserError(
                f"{self.source}: no split for experiment '{name}', which uses {asked}; "
                "add one under `datasets`, or take the experiment out of `experiments`"
            )
        return found

    def _distinct_seeds(self, dataset: str, split: str, method: str, seeds: Sequence[int]) -> Sequence[int]:
        """Return the seeds that have a result of their own: of those that score one folder of predictions, the first.

        Copies of one result have no spread, and must not count as several trainings.
        """
        predictions = self.method(method).predictions
        if predictions is None:
            return seeds
        folders = {predictions.format(dataset=dataset, split=split, seed=seed): seed for seed in reversed(seeds)}
        return [seed for seed in seeds if seed in folders.values()]

    def figure(self, name: str) -> FigureFile:
        """Return a figure of images with the study's first dataset, split and seed where it names none.

        Raises: UserError if its file has a mistake, or the study lacks its dataset, split or methods.
        """
        path = self._path("figures", name)
        figure = parse(FigureFile, read_yaml(path), str(path))
        for method in figure.methods:
            require_file(self.root, "methods", method, f"{path}: methods")
            self.method(method)
        self._distinct_labels(path, figure.methods)
        dataset = figure.dataset or next(iter(self.study.datasets))
        if dataset not in self.study.datasets:
            known = ", ".join(self.study.datasets)
            raise UserError(f"{path}: {self.source} has no dataset '{dataset}'; it has {known}")
        split = next(iter(self.study.datasets[dataset].splits)) if figure.split is None else figure.split
        self.split_json(dataset, f"split{split}")
        seed = self.study.seeds[0] if figure.seed is None else figure.seed
        return figure.model_copy(update={"dataset": dataset, "split": split, "seed": seed})

    def trained_split(self, split: str, method: str) -> str:
        """Return the split in which a method is trained: those that see every mask serve all splits."""
        return FULL_SPLIT if self.method(method).labels == "full" else split

    def method(self, name: str) -> MethodFile:
        """Return a method; one that names no `labels` has its parent's, and with them the teacher and the maps."""
        lineage = [self._methods[ancestor] for ancestor in self._lineage(name)]
        named = [method for method in lineage if "labels" in method.model_fields_set] or lineage
        inherited = ("labels", "teacher", "pseudo", "maps", "predictions")
        return lineage[-1].model_copy(update={name: getattr(named[-1], name) for name in inherited})

    def training_chain(self, method: str) -> list[str]:
        """Return a method's teachers, the first to be trained first, and the method; none if it is not trained here.

        Raises: UserError if teachers form a circle, or one has seen novel masks or is not trained here.
        """
        chain: list[str] = []
        following: str | None = None if self.method(method).labels == "none" else method
        while following is not None:
            if following in chain:
                raise UserError(
                    f"{self._path('methods', method)}: teachers form a circle: {' -> '.join([*chain, following])}"
                )
            chain.append(following)
            following = self.method(following).teacher
            if following is not None and (labels := self.method(following).labels) in ("full", "none"):
                what = "trained on all masks" if labels == "full" else "not trained here"
                raise UserError(
                    f"{self._path('methods', chain[-1])}: teacher '{following}' is {what}; "
                    "a teacher of weak-shot methods must not see novel masks"
                )
        return chain[::-1]

    def run(self, dataset: str, split: str, method: str, seed: int) -> RunConfig:
        """Resolve the settings of one training (merge order: see `simformer.config.layers`)."""
        chosen = self.method(method)
        settings = parse_layers(TrainSettings, self.layers(dataset, split, method), "settings")
        return RunConfig(
            dataset=dataset, split=split, method=method, seed=seed, labels=chosen.labels, settings=settings
        )

    def layers(self, dataset: str, split: str, method: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the settings of which those of a training are merged, each with its file; later ones win."""
        own = (layer for ancestor in self._lineage(method) for layer in self._layers(ancestor, dataset, split))
        return [*self._dataset_layers(dataset), *own]

    def _baselines(self, dataset: str, response: str = "classifier") -> BaselineSettings:
        """Resolve the settings of the weakly supervised baselines on a dataset, for the maps of one response."""
        own = [
            (str(self._path("datasets", dataset)), self.datasets[dataset].baselines),
            (f"{self.source}: datasets.{dataset}", self.study.datasets[dataset].baselines),
        ]
        layers = [("defaults", BaselineSettings().model_dump(mode="json")), *own]
        common = parse_layers(BaselineSettings, layers, "baselines")
        kind = ROUNDS[response].family if response in ROUNDS else response
        differing = common.responses.get(kind, {})
        named = [(source, differing) for source, content in own if kind in content.get("responses", {})]
        return parse_layers(BaselineSettings, [*layers, *(named or [("defaults", differing)])], "baselines")

    def response(self, dataset: str, name: str) -> str:
        """Return the folder of a response's maps: CONTA's are those of its last round on the dataset."""
        if name not in FAMILIES:
            return name
        return Round(name, self.baselines(dataset, name).conta.rounds).response

    def round(self, dataset: str, response: str) -> Round:
        """Return a round of CONTA by the name of its response; raises UserError if the dataset has no such round."""
        found = ROUNDS.get(response)
        family = found.family if found else FAMILIES[0]
        rounds = self.baselines(dataset, family).conta.rounds
        if found is None or found.number > rounds:
            known = ", ".join(Round(family, number).response for number in range(1, rounds + 1))
            raise UserError(
                f"{self._path('datasets', dataset)}: no response '{response}'; it has {FIRST}, {known}. "
                "For more rounds raise baselines.conta.rounds"
            )
        return found

    def network(self, dataset: str, kind: str, seed: int, response: str = "classifier") -> NetworkSpec[NetworkSettings]:
        """Resolve the training of a baseline's network.

        Args:
            dataset, seed: whose.
            kind: a section of the baselines' settings; 'conta' is the classifier of one of its rounds.
            response: whose maps it serves.
        """
        baselines = self.baselines(dataset, response)
        if kind == "conta":
            seed = self.round(dataset, response).seed(seed)
            shared, context = baselines.classifier.model_dump(), baselines.conta.context
            settings = ContextClassifierSettings(**shared, context=context)
        else:
            settings = getattr(baselines, kind)
        return of_settings(type(settings))(
            kind=kind, backbone=dilatable(self.model(dataset).backbone, dataset), seed=seed, settings=settings
        )

    def model(self, dataset: str, method: str | None = None) -> ModelSettings:
        """Resolve a dataset's network settings, or a method's on it, whatever other settings may lack there."""
        layers = self._dataset_layers(dataset)
        for ancestor in [] if method is None else self._lineage(method):
            layers += self._layers(ancestor, dataset, FULL_SPLIT)
        models = [(where, given.get("model", {})) for where, given in layers]
        return parse_layers(ModelSettings, models, "settings.model")

    def split_json(self, dataset: str, split: str) -> str:
        """Return the specification of a split as canonical JSON ('full' has no novel class); UserError without one."""
        if split == FULL_SPLIT:
            return json.dumps({"full": True})
        number = int(split.removeprefix("split"))
        spec = self.study.datasets[dataset].splits.get(number)
        if spec is None:
            known = ", ".join(f"split{k}" for k in self.study.datasets[dataset].splits)
            raise UserError(f"{self.source}: dataset '{dataset}' has no {split}; it has {known}")
        content = spec.model_dump(mode="json", exclude={"only"})
        if spec.file is not None:
            key = f"{self.source}: datasets.{dataset}.splits.{number}.file"
            content["file"] = str(self.root.parent / expand_path(spec.file, key))
        return json.dumps(content | {k: sorted(content[k]) for k in ("novel", "base") if content[k]}, sort_keys=True)

    def _distinct_labels(self, path: Path, methods: tuple[str, ...]) -> None:
        require_distinct_labels(self.root, path, ((method, self.method(method).label) for method in methods))

    def novel(self, dataset: str, split: str) -> str | dict[str, Any] | None:
        """Return the `names_hash` of a split's named novel classes, or how they are drawn (`Draw`); None of 'full'."""
        spec = json.loads(self.split_json(dataset, split))
        if spec.get("file"):
            return names_hash(map(str, self._pinned(Path(spec["file"])).values()))
        if spec.get("novel"):
            return names_hash(spec["novel"])
        return None if split == FULL_SPLIT else {"seed": spec["seed"], "ratio": spec["ratio"]}

    def _dataset_layers(self, dataset: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the training settings of a dataset's file, and the study's own for it."""
        return [
            (str(self._path("datasets", dataset)), self.datasets[dataset].settings),
            (f"{self.source}: datasets.{dataset}", self.study.datasets[dataset].settings),
        ]

    def _dataset(self, name: str) -> DatasetFile:
        path = self._path("datasets", name)
        content = read_yaml(path)
        mine = self.study.datasets[name]
        merged = merge(content, mine.model_dump(include={"source", "expect", "inference", "shards"}))
        file = parse(DatasetFile, content, str(path))
        for source, given in ((str(path), file), (f"{self.source}: datasets.{name}", mine)):
            check_layer(TrainSettings, given.settings, source, "settings")
            check_layer(BaselineSettings, given.baselines, source, "baselines")
        return parse(DatasetFile, merged, f"{self.source}: datasets.{name}")

    def _layers(self, method: str, dataset: str, split: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the settings that a method file gives a run: for all, for its dataset, for its split."""
        path, file = self._path("methods", method), self._methods[method]
        splits = file.splits.get(dataset, {})
        return [
            (str(path), file.settings),
            (f"{path}: datasets.{dataset}", file.datasets.get(dataset, {})),
            *((f"{path}: splits.{dataset}.{k}", given) for k, given in splits.items() if split == f"split{k}"),
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
            require_file(
                self.root, "datasets", dataset, f"{path}: {'datasets' if dataset in file.datasets else 'splits'}"
            )
        for key, method in ("inherits", file.inherits), ("teacher", file.teacher):
            if method is not None:
                require_file(self.root, "methods", method, f"{path}: {key}")
        layers = [(str(path), file.settings)]
        layers += [(f"{path}: datasets.{dataset}", given) for dataset, given in file.datasets.items()]
        for dataset, splits in file.splits.items():
            layers += [(f"{path}: splits.{dataset}.{number}", given) for number, given in splits.items()]
        for source, given in layers:
            check_layer(TrainSettings, given, source, "settings")
        models = [given.get("model", {}) for _, given in layers]
        if any("weights" in model and "backbone" not in model for model in models):
            raise UserError(
                f"{path}: 'settings.model.weights' belongs to the dataset's file: all methods of a dataset start from "
                "the same weights; one with a backbone of its own names it beside them"
            )
        return file

    def _path(self, folder: str, name: str) -> Path:
        return self.root / folder / f"{name}.yaml"
