"""The experiment files and their keys: studies, datasets, methods and experiments."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from simformer.baselines.settings import MapChoice
from simformer.config.fields import DISTINCT, Count, Labels, Seed, Settings, SplitKey, SplitNumber, Text
from simformer.config.layers import parse
from simformer.config.paths import expand_folder
from simformer.config.pseudo import PseudoSettings
from simformer.config.settings import InferenceSettings
from simformer.config.sources import Expected, Source
from simformer.errors import UserError
from simformer.text.strict_json import read_option


def _folder(text: str) -> str:
    try:
        return expand_folder(text, "")
    except UserError as error:
        raise ValueError(str(error).strip()) from None


Folder = Annotated[str, AfterValidator(_folder)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
TAKEN = {
    "dataset": ("downloads", "weights", "logs", "figures", "gallery", "pages", "partial", "report", "intervals",
                "t_test", "label_quality", "diagnostics", "per_class"),
    "method": ("masked", "fill", "crop", "maps", "retab", "retab_controls", "checks"),
    "experiment": ("baseline_checks", "retab_checks", "stage_costs"),
}  # fmt: skip
"""Names of folders and files of our own, by what a user might call so: theirs would lie among ours."""


def _free(what: str) -> AfterValidator:
    def check(name: str) -> str:
        if name in TAKEN[what]:
            raise ValueError(f"'{name}' is a folder or file of the results or data; call the {what} something else")
        return name

    return AfterValidator(check)


DatasetName = Annotated[Name, _free("dataset")]
MethodName = Annotated[Name, _free("method")]
ExperimentName = Annotated[Name, _free("experiment")]
SplitName = Annotated[str, StringConstraints(pattern=r"^split(0|[1-9][0-9]{0,5})$")]
METRICS = {
    "iou": ("novel", "base", "all"),
    "simnet_f1": tuple(
        f"{g}_{kind}{mode}" for mode in ("", "_train") for g in ("base", "novel") for kind in ("dis", "sim")
    ),
}
"""Columns that a table can have, by measure."""
MEASURE_FILES = {"iou": "metrics.json", "simnet_f1": "simnet_f1.json"}
"""File of a run's numbers, by measure."""


class SplitSpec(Settings):
    """How one base/novel split comes about: a list of names, a pinned file, or a seed and a ratio."""

    novel: Annotated[tuple[Text, ...], DISTINCT] | None = Field(None, description="Novel classes by name.")
    base: Annotated[tuple[Text, ...], DISTINCT] | None = Field(
        None, description="Base classes by name; default: all others."
    )
    file: Text | None = Field(
        None,
        description="Pinned split file with `novel` (names and ids); a relative path starts at the folder above the "
        "configuration.",
    )
    seed: Seed | None = Field(None, description="Seed of a random split.")
    ratio: tuple[Count, Count] = Field((3, 1), description="Base : novel classes of a random split.")
    only: Annotated[tuple[Name, ...], DISTINCT] | None = Field(
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


def read_split(text: str, source: str) -> dict[str, Any]:
    """Read the specification of a split from JSON: that of `Catalogue.split_json`; raises UserError for a mistake."""
    content = read_option(text, source)
    full = isinstance(content, dict) and list(content) == ["full"] and content["full"] is True
    return content if full else parse(SplitSpec, content, source).model_dump(mode="json")


class ShardCounts(Settings):
    """Into how many jobs passes over the images are split; results are the same for any number."""

    train: Count = Field(1, description="Jobs of a pass over the training images (pseudo-labels, class maps).")
    test: Count = Field(1, description="Jobs of a pass over the test images (evaluation).")


class DatasetFile(Settings):
    """config/datasets/<name>.yaml"""

    title: Text = Field(description="Full name, for readers of this file; tables show the file's name.")
    source: Source = Field(description="Where images and labels come from.")
    expect: Expected = Field(Expected(), description="Published counts, checked by the audit.")
    inference: InferenceSettings = Field(InferenceSettings(), description="Inference settings.")
    shards: ShardCounts = Field(ShardCounts(), description="Jobs per pass over the images.")
    settings: dict[str, Any] = Field({}, description="Training settings that differ from the defaults.")
    baselines: dict[str, Any] = Field(
        {}, description="Settings of the weakly supervised baselines that differ from the defaults."
    )


class MethodFile(Settings):
    """config/methods/<name>.yaml: one row of a table; only what differs from its parent."""

    label: Text = Field(description="Name shown in tables.")
    inherits: Name | None = Field(
        None,
        description="Parent method: its settings are taken over, and its labels, teacher and maps unless `labels` is "
        "given.",
    )
    labels: Labels = Field(
        "weak",
        description="weak: novel masks hidden, image-level labels of the whole image; crop: as released, novel labels "
        "of each training crop instead, for which hidden pixels are looked at; full: all masks; pseudo: predicted by "
        "`teacher`; "
        "fill: the not-base region split among the present novel classes; maps: the not-base region labelled by class "
        "maps (`maps`), which are learnt from image-level labels; none: not trained here, `predictions` are scored.",
    )
    teacher: MethodName | None = Field(None, description="Method whose predictions label the novel pixels.")
    maps: MapChoice | None = Field(None, description="Which class maps label the novel pixels.")
    pseudo: PseudoSettings = Field(PseudoSettings(), description="How the teacher's predictions become labels.")
    predictions: Text | None = Field(
        None,
        description="Folder of another program's predictions of the test images, id PNGs (docs/predict.md), for "
        "`labels: none`; {dataset}, {split} and {seed} in it stand for those of the table's cell.",
    )
    settings: dict[str, Any] = Field({}, description="Training settings that differ.")
    datasets: dict[Name, dict[str, Any]] = Field({}, description="Training settings on one dataset alone.")
    splits: dict[Name, dict[SplitKey, dict[str, Any]]] = Field(
        {}, description="Training settings on one split of one dataset alone."
    )

    @property
    def mixed_maps(self) -> MapChoice:
        """The class maps of a method with `labels: maps`."""
        assert self.maps is not None
        return self.maps

    @model_validator(mode="after")
    def _teacher(self) -> MethodFile:
        if (self.labels == "pseudo") != (self.teacher is not None):
            raise ValueError("`teacher` goes with `labels: pseudo`, and only with it")
        if self.labels != "pseudo" and "pseudo" in self.model_fields_set:
            raise ValueError("`pseudo` goes with `labels: pseudo`, e.g. labels: pseudo, teacher: simformer")
        if (self.labels == "maps") != (self.maps is not None):
            raise ValueError("`maps` goes with `labels: maps`, and only with it, e.g. maps: {response: classifier}")
        if (self.labels == "none") != (self.predictions is not None):
            raise ValueError(
                "`predictions` goes with `labels: none`, and only with it, e.g. predictions: /path/{split}"
            )
        return self


class ExperimentFile(Settings):
    """config/experiments/<name>.yaml: the rows of one table, and what the paper reports."""

    title: Text = Field(description="Caption of the table.")
    methods: Annotated[tuple[MethodName, ...], DISTINCT] = Field(min_length=1, description="Rows, top to bottom.")
    measure: Literal["iou", "simnet_f1"] = Field(
        "iou",
        description="iou: mean IoU on the test images; simnet_f1: F1 of SimNet on pixel pairs (Table 3).",
    )
    metrics: Annotated[tuple[str, ...], DISTINCT] = Field(
        ("novel", "base", "all"),
        min_length=1,
        description="Columns, percent. iou: novel, base, all; simnet_f1: base_dis, base_sim, novel_dis, novel_sim, and "
        "the same with suffix _train (batch norm in train mode, as the teacher of L_dist).",
    )
    splits: dict[Name, Annotated[tuple[SplitNumber, ...], DISTINCT]] = Field(
        {},
        description="Splits of these datasets, as far as the study has them (an empty list leaves the dataset out); "
        "of a dataset that is not named here, all splits of the study.",
    )
    sweep: Annotated[tuple[str, ...], DISTINCT] = Field(
        (),
        description="Settings that are swept, e.g. `loss.alpha`: one panel each in the figure of this experiment. The "
        "first row has the defaults; every other one differs from it in one of these keys alone.",
    )
    compare: Annotated[tuple[tuple[Name, Name], ...], DISTINCT] = Field(
        (),
        description="Pairs of rows (method, baseline) whose difference is given with confidence intervals, in "
        "`intervals/<experiment>.csv`.",
    )
    seeds: Annotated[tuple[Seed, ...], DISTINCT] | None = Field(
        None, min_length=1, description="Training seeds; default: those of the study."
    )
    reported: dict[Name, dict[SplitName, dict[Name, dict[Name, float]]]] = Field(
        {}, description="Paper's numbers: dataset -> split -> method -> metric."
    )
    published_std: dict[Name, dict[SplitName, dict[Name, Annotated[float, Field(ge=0)]]]] = Field(
        {}, description="Paper's deviations over seeds on the novel classes: dataset -> split -> method."
    )
    published_p: dict[Name, dict[SplitName, Annotated[float, Field(ge=0, le=1)]]] = Field(
        {}, description="Paper's p values of a test on the novel classes: dataset -> split."
    )

    @model_validator(mode="after")
    def _known_metrics(self) -> ExperimentFile:
        reported = {
            m for splits in self.reported.values() for rows in splits.values() for r in rows.values() for m in r
        }
        if unknown := sorted({*self.metrics, *reported} - set(METRICS[self.measure])):
            known = ", ".join(METRICS[self.measure])
            raise ValueError(f"metrics {', '.join(unknown)} do not belong to measure '{self.measure}'; it has {known}")
        return self

    @model_validator(mode="after")
    def _comparable(self) -> ExperimentFile:
        if unknown := sorted({name for pair in self.compare for name in pair} - set(self.methods)):
            raise ValueError(f"compare: {', '.join(unknown)} is no row of this table; rows: {', '.join(self.methods)}")
        if same := [left for left, right in self.compare if left == right]:
            raise ValueError(f"compare: {same[0]} is compared with itself; name two rows")
        if self.compare and self.measure != "iou":
            raise ValueError(f"compare needs measure 'iou', not '{self.measure}'")
        return self


class FigureFile(Settings):
    """config/figures/<name>.yaml: one figure of test images."""

    title: Text = Field(description="Stored in the files, as their title.")
    kind: Literal["qualitative", "proposals", "similarity", "failures"] = Field(
        description="qualitative: predictions beside the truth (Fig. 3, 8, 9); proposals: those of the highest novel "
        "scores (Fig. 4); similarity: SimNet's maps for a pixel of an image pair (Fig. 5); failures: the worst of two "
        "kinds (Fig. 7)."
    )
    methods: Annotated[tuple[Name, ...], DISTINCT] = Field(
        min_length=1, description="Columns of predictions; one method in other kinds."
    )
    dataset: Name | None = Field(None, description="Default: the study's first.")
    split: SplitNumber | None = Field(None, description="Default: the first that the study has.")
    seed: Seed | None = Field(None, description="Training seed; default: the study's first.")
    images: tuple[Text, ...] = Field(
        (),
        description="Names of test images (similarity: an input and its reference; failures: those that are searched); "
        "default: chosen by class and list order alone.",
    )
    count: int = Field(4, ge=1, le=1000, description="Rows, if no images are named; failures: of each kind.")
    pixel: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = Field(
        None, description="similarity: row and column in the first named image; default: amid a class of both images."
    )

    @model_validator(mode="after")
    def _fits_the_kind(self) -> FigureFile:
        if self.kind != "qualitative" and len(self.methods) != 1:
            raise ValueError(f"kind '{self.kind}' shows one method, not {len(self.methods)}")
        if self.pixel is not None and (self.kind != "similarity" or not self.images):
            raise ValueError("`pixel` goes with `kind: similarity` and with two `images`")
        return self


class StudyDataset(Settings):
    """One dataset of a study."""

    splits: dict[SplitKey, SplitSpec] = Field(min_length=1, description="Splits by number.")
    source: dict[str, Any] = Field({}, description="Overrides of the dataset file's `source`.")
    expect: dict[str, Any] = Field({}, description="Overrides of the dataset file's `expect`.")
    inference: dict[str, Any] = Field({}, description="Overrides of the dataset file's `inference`.")
    shards: dict[str, Any] = Field({}, description="Overrides of the dataset file's `shards`.")
    settings: dict[str, Any] = Field({}, description="Training settings here; a method's own settings win over them.")
    baselines: dict[str, Any] = Field({}, description="Overrides of the dataset file's `baselines`.")


class Study(Settings):
    """config/config.yaml, config/demo.yaml, ...: which experiments to run on what, and where things lie."""

    results: Folder = Field("results", description="Folder of all results; `~` and environment variables are expanded.")
    data: Folder = Field("data", description="Folder of the prepared datasets; may serve several studies.")
    seeds: Annotated[tuple[Seed, ...], DISTINCT] = Field((0,), min_length=1, description="Training seeds.")
    datasets: dict[DatasetName, StudyDataset] = Field(min_length=1, description="Datasets and their splits.")
    experiments: Annotated[tuple[ExperimentName, ...], DISTINCT] = Field(
        ("table1",), min_length=1, description="Tables to make by default."
    )
    check_splits: Literal["first", "all"] = Field(
        "first", description="Splits of each dataset on which the baselines' class maps are measured and drawn."
    )
    figures: Annotated[tuple[Name, ...], DISTINCT] = Field((), description="Figures of images to make by default.")

    @model_validator(mode="after")
    def _two_folders(self) -> Study:
        if os.path.abspath(self.results) == os.path.abspath(self.data):
            raise ValueError(f"results and data are one folder, '{self.data}'; name another one for either")
        return self
