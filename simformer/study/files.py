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


def _pattern(text: str) -> str:
    try:
        text.format(dataset="", split="", seed=0)
    except (LookupError, ValueError, AttributeError, TypeError):
        raise ValueError(f"is '{text}', but may hold only {{dataset}}, {{split}} and {{seed}}") from None
    return text


class SplitSpec(Settings):
    """How one base/novel split comes about: a list of names, a pinned file, or a seed and a ratio."""

    novel: Annotated[tuple[Text, ...], DISTINCT] | None = Field(None, description="Names of the novel classes.")
    base: Annotated[tuple[Text, ...], DISTINCT] | None = Field(
        None, description="Names of the base classes. Default: all others."
    )
    file: Text | None = Field(
        None,
        description="Pinned split file with `novel` (names and ids). A relative path starts at the folder above the "
        "configuration.",
    )
    seed: Seed | None = Field(None, description="Seed of a random split.")
    ratio: tuple[Count, Count] = Field((3, 1), description="Ratio of base to novel classes in a random split.")
    only: Annotated[tuple[Name, ...], DISTINCT] | None = Field(
        None,
        description="Experiments that use this split. Default: all experiments that do not list their splits "
        "themselves.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> SplitSpec:
        given = [name for name in ("novel", "file", "seed") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of novel, file, seed (found {found}), e.g. {{seed: 7, ratio: [3, 1]}}")
        if self.novel is not None and not self.novel:
            raise ValueError("the list of novel classes is empty; name at least one class")
        if self.seed is None and self.ratio != (3, 1):  # the default, which files of older versions spell out
            raise ValueError(f"ratio belongs to a random split (seed), but {given[0]} names the classes; remove ratio")
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

    train: Count = Field(1, description="Number of jobs that share the training images (pseudo-labels, class maps).")
    test: Count = Field(1, description="Number of jobs that share the test images (evaluation).")


class DatasetFile(Settings):
    """config/datasets/<name>.yaml"""

    title: Text = Field(description="Full name, for readers of this file. Tables show the name of the file.")
    source: Source = Field(description="Where images and labels come from.")
    expect: Expected = Field(Expected(), description="Published counts. The audit checks them.")
    inference: InferenceSettings = Field(InferenceSettings(), description="Sizes at test time.")
    shards: ShardCounts = Field(ShardCounts(), description="How many jobs share the images.")
    settings: dict[str, Any] = Field({}, description="Training settings that differ from the defaults.")
    baselines: dict[str, Any] = Field(
        {}, description="Settings of the weakly supervised baselines that differ from the defaults."
    )


class MethodFile(Settings):
    """config/methods/<name>.yaml: one row of a table; only what differs from its parent."""

    label: Text = Field(description="Name shown in tables.")
    inherits: Name | None = Field(
        None,
        description="Parent method. Its settings are taken over. Its labels, teacher and maps are too, unless `labels` "
        "is given.",
    )
    labels: Labels = Field(
        "weak",
        description="What the training sees of novel classes. weak: their masks are hidden, and image-level labels "
        "describe the whole image. crop: as in the released code, image-level labels describe each training crop; "
        "they are found from hidden pixels. full: all masks. pseudo: predictions of `teacher`. fill: the whole "
        "not-base region becomes one class, the most frequent novel class of the image. maps: the not-base region, "
        "labelled by class maps (`maps`) that are learnt from image-level labels. none: nothing is trained here; "
        "`predictions` are scored.",
    )
    teacher: MethodName | None = Field(None, description="Method whose predictions label the novel pixels.")
    maps: MapChoice | None = Field(None, description="Which class maps label the novel pixels.")
    pseudo: PseudoSettings = Field(PseudoSettings(), description="How the predictions of the teacher become labels.")
    predictions: Annotated[Text, AfterValidator(_pattern)] | None = Field(
        None,
        description="For `labels: none`: folder with another program's predictions of the test images, as id PNGs "
        "(docs/predict.md). {dataset}, {split} and {seed} in it are replaced by those of the table's cell.",
    )
    settings: dict[str, Any] = Field({}, description="Training settings that differ from the defaults.")
    datasets: dict[Name, dict[str, Any]] = Field({}, description="Training settings for one dataset alone.")
    splits: dict[Name, dict[SplitKey, dict[str, Any]]] = Field(
        {}, description="Training settings for one split of one dataset alone."
    )

    @property
    def mixed_maps(self) -> MapChoice:
        """The class maps of a method with `labels: maps`."""
        assert self.maps is not None
        return self.maps

    @model_validator(mode="after")
    def _teacher(self) -> MethodFile:
        if (self.labels == "pseudo") != (self.teacher is not None):
            raise ValueError("`teacher` and `labels: pseudo` need each other; write both or neither")
        if self.labels != "pseudo" and "pseudo" in self.model_fields_set:
            raise ValueError("`pseudo` needs `labels: pseudo`, e.g. labels: pseudo, teacher: simformer")
        if (self.labels == "maps") != (self.maps is not None):
            raise ValueError("`maps` and `labels: maps` need each other, e.g. maps: {response: classifier}")
        if (self.labels == "none") != (self.predictions is not None):
            raise ValueError("`predictions` and `labels: none` need each other, e.g. predictions: /path/{split}")
        return self


class ExperimentFile(Settings):
    """config/experiments/<name>.yaml: the rows of one table, and what the paper reports."""

    title: Text = Field(description="Caption of the table.")
    methods: Annotated[tuple[MethodName, ...], DISTINCT] = Field(
        min_length=1, description="Rows of the table, from top to bottom."
    )
    measure: Literal["iou", "simnet_f1"] = Field(
        "iou",
        description="iou: mean IoU on the test images; simnet_f1: F1 of SimNet on pixel pairs (Table 3).",
    )
    metrics: Annotated[tuple[str, ...], DISTINCT] = Field(
        ("novel", "base", "all"),
        min_length=1,
        description="Columns, in percent. iou: novel, base, all. simnet_f1: base_dis, base_sim, novel_dis, novel_sim, "
        "and the same with the suffix _train (batch norm in train mode, as in the teacher of L_dist).",
    )
    splits: dict[Name, Annotated[tuple[SplitNumber, ...], DISTINCT]] = Field(
        {},
        description="Splits to use, per dataset, if the study has them. An empty list leaves the dataset out. For a "
        "dataset that is not named here, all splits of the study are used.",
    )
    sweep: Annotated[tuple[str, ...], DISTINCT] = Field(
        (),
        description="Numbers among the settings that are swept, e.g. `loss.alpha`. Each gets a panel in the figure of "
        "this experiment. The first row has the defaults, and every other row differs from it in one of these keys.",
    )
    compare: Annotated[tuple[tuple[Name, Name], ...], DISTINCT] = Field(
        (),
        description="Pairs of rows (method, baseline). `intervals/<experiment>.csv` gives their difference with "
        "confidence intervals.",
    )
    seeds: Annotated[tuple[Seed, ...], DISTINCT] | None = Field(
        None, min_length=1, description="Training seeds. Default: those of the study."
    )
    reported: dict[Name, dict[SplitName, dict[Name, dict[Name, float]]]] = Field(
        {}, description="Numbers of the paper: dataset -> split -> method -> metric."
    )
    published_std: dict[Name, dict[SplitName, dict[Name, Annotated[float, Field(ge=0)]]]] = Field(
        {}, description="Deviations over seeds in the paper, for the novel classes: dataset -> split -> method."
    )
    published_p: dict[Name, dict[SplitName, dict[Name, dict[Name, Annotated[float, Field(ge=0, le=1)]]]]] = Field(
        {},
        description="p values in the paper, of tests on the novel classes: dataset -> split -> method -> baseline. "
        "`compare` has the pair.",
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
    def _of_rows(self) -> ExperimentFile:
        rows = ", ".join(self.methods)
        for key in ("reported", "published_std"):
            named = {method for splits in getattr(self, key).values() for found in splits.values() for method in found}
            if unknown := sorted(named - set(self.methods)):
                raise ValueError(f"{key}: {', '.join(unknown)} is no row of this table; rows: {rows}")
        tests = [tests for splits in self.published_p.values() for tests in splits.values()]
        pairs = {(method, baseline) for each in tests for method, others in each.items() for baseline in others}
        if lone := sorted(pairs - set(self.compare)):
            raise ValueError(f"published_p: {' - '.join(lone[0])} is no pair of `compare`")
        return self

    @model_validator(mode="after")
    def _comparable(self) -> ExperimentFile:
        if unknown := sorted({name for pair in self.compare for name in pair} - set(self.methods)):
            raise ValueError(f"compare: {', '.join(unknown)} is no row of this table; rows: {', '.join(self.methods)}")
        if same := [left for left, right in self.compare if left == right]:
            raise ValueError(f"compare: {same[0]} is compared with itself; name two rows")
        for key in ("compare", "sweep"):
            if getattr(self, key) and self.measure != "iou":
                raise ValueError(f"{key} needs measure 'iou', not '{self.measure}'")
        return self


class FigureFile(Settings):
    """config/figures/<name>.yaml: one figure of test images."""

    title: Text = Field(description="Title that is stored in the picture files.")
    kind: Literal["qualitative", "proposals", "similarity", "failures"] = Field(
        description="qualitative: predictions beside the truth (Fig. 3, 8, 9). proposals: the proposals with the "
        "highest novel scores (Fig. 4). similarity: SimNet's maps for one pixel of an image pair (Fig. 5). "
        "failures: the worst images of two kinds (Fig. 7)."
    )
    methods: Annotated[tuple[Name, ...], DISTINCT] = Field(
        min_length=1,
        description="Methods whose predictions are the columns. Kinds other than qualitative show one method.",
    )
    dataset: Name | None = Field(None, description="Dataset. Default: the first of the study.")
    split: SplitNumber | None = Field(None, description="Split. Default: the first of the study.")
    seed: Seed | None = Field(None, description="Training seed. Default: the first of the study.")
    images: tuple[Text, ...] = Field(
        (),
        description="Names of test images. similarity: an input and its reference. failures: the images that are "
        "searched. Default: chosen only by class and by the order of the list.",
    )
    count: int = Field(
        4, ge=1, le=1000, description="Number of rows if no images are named. For failures: of each kind."
    )
    pixel: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = Field(
        None,
        description="For similarity: row and column in the first named image. Default: a pixel in the middle of a "
        "class that both images show.",
    )

    @model_validator(mode="after")
    def _fits_the_kind(self) -> FigureFile:
        if self.kind != "qualitative" and len(self.methods) != 1:
            raise ValueError(f"kind '{self.kind}' shows one method, not {len(self.methods)}")
        if self.pixel is not None and (self.kind != "similarity" or not self.images):
            raise ValueError("`pixel` needs `kind: similarity` and two `images`")
        return self


class StudyDataset(Settings):
    """One dataset of a study."""

    splits: dict[SplitKey, SplitSpec] = Field(min_length=1, description="Splits, by number.")
    source: dict[str, Any] = Field({}, description="Keys that replace those of `source` in the dataset's file.")
    expect: dict[str, Any] = Field({}, description="Keys that replace those of `expect` in the dataset's file.")
    inference: dict[str, Any] = Field({}, description="Keys that replace those of `inference` in the dataset's file.")
    shards: dict[str, Any] = Field({}, description="Keys that replace those of `shards` in the dataset's file.")
    settings: dict[str, Any] = Field(
        {}, description="Training settings in this study. A method's own settings win over them."
    )
    baselines: dict[str, Any] = Field({}, description="Keys that replace those of `baselines` in the dataset's file.")


class Study(Settings):
    """config/config.yaml, config/demo.yaml, ...: which experiments to run on what, and where things lie."""

    results: Folder = Field("results", description="Folder of all results. `~` and environment variables are expanded.")
    data: Folder = Field("data", description="Folder of the prepared datasets. Several studies may share it.")
    seeds: Annotated[tuple[Seed, ...], DISTINCT] = Field((0,), min_length=1, description="Training seeds.")
    datasets: dict[DatasetName, StudyDataset] = Field(min_length=1, description="Datasets and their splits.")
    experiments: Annotated[tuple[ExperimentName, ...], DISTINCT] = Field(
        ("table1",), min_length=1, description="Tables that are made by default."
    )
    check_splits: Literal["first", "all"] = Field(
        "first", description="On which splits of each dataset the baselines' class maps are measured and drawn."
    )
    figures: Annotated[tuple[Name, ...], DISTINCT] = Field(
        (), description="Figures of images that are made by default."
    )

    @model_validator(mode="after")
    def _two_folders(self) -> Study:
        if os.path.abspath(self.results) == os.path.abspath(self.data):
            raise ValueError(f"results and data are one folder, '{self.data}'; name another one for either")
        return self
