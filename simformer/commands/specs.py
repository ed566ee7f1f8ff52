"""What a rule tells a subcommand in JSON where no settings class says it: tables, figures, pages.

A specification may hold more than its reader needs; what the reader needs must be there, of the right kind.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from simformer.baselines.settings import WalkSettings
from simformer.config.layers import parse
from simformer.config.settings import Draw
from simformer.text.strict_json import read_option


class Spec(BaseModel):
    """Base of every specification."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Row(Spec):
    """One row of a table."""

    method: str
    label: str


class RankedRow(Row):
    """One row of a table in which the best value is marked."""

    ranked: bool


class Run(Spec):
    """One training; `hash` and `novel` are those of the study, with which its files are compared."""

    dataset: str
    split: str
    method: str
    seed: int
    hash: str | None = None
    novel: str | Draw | None = None


class ScoredRun(Run):
    """One training and the file of its numbers."""

    path: str


class EvaluatedRun(Run):
    """One training, the shards of its evaluation and its split.yaml."""

    evaluation: list[str] = Field(min_length=1)
    groups: str


class ClassRun(ScoredRun, EvaluatedRun):
    """One training with its numbers, its evaluation and its split.yaml."""


class LabelRun(ScoredRun):
    """One re-training with the label sets that tell how good its labels are."""

    labels: str
    masked: str
    truth: str


Names = Annotated[list[str], Field(min_length=1)]
Reported = dict[str, dict[str, dict[str, dict[str, float]]]]


class RowsSpec(Spec):
    """What is shown row by row."""

    title: str
    rows: list[Row] = Field(min_length=1)
    runs: list[ScoredRun] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_of_runs(self) -> RowsSpec:
        rows = {row.method for row in self.rows}
        if strange := [run.method for run in self.runs if run.method not in rows]:
            raise ValueError(f"runs: '{strange[0]}' has no entry in rows")
        return self


class TableSpec(RowsSpec):
    """A table."""

    rows: list[RankedRow] = Field(min_length=1)
    metrics: Names
    reported: Reported


class PartialSpec(TableSpec):
    """A table of the runs that are there, and the command that makes the others."""

    command: str


class PairsSpec(RowsSpec):
    """Pairs of rows that are compared."""

    compare: Annotated[list[tuple[str, str]], Field(min_length=1)]

    @model_validator(mode="after")
    def _runs_of_pairs(self) -> PairsSpec:
        there = {(run.dataset, run.split, run.method) for run in self.runs}
        for place in {cell[:2] for cell in there}:
            for method in (method for pair in self.compare for method in pair):
                if (*place, method) not in there:
                    raise ValueError(f"compare: '{method}' has no runs on {' '.join(place)}")
        return self


class IntervalSpec(PairsSpec):
    """Pairs of rows that are compared over images and seeds."""

    metrics: list[Literal["novel", "base", "all"]] = Field(min_length=1)
    runs: list[EvaluatedRun] = Field(min_length=1)


class SeedTestSpec(PairsSpec):
    """Pairs of rows that are compared over seeds, and what the paper says of them."""

    metrics: Names
    reported: Reported
    published_std: dict[str, dict[str, dict[str, float]]]
    published_p: dict[str, dict[str, float]]


class ClassSpec(RowsSpec):
    """The IoU of every class."""

    runs: list[ClassRun] = Field(min_length=1)


class LabelSpec(RowsSpec):
    """The labels behind re-trained methods."""

    runs: list[LabelRun] = Field(min_length=1)


class SweepSpec(Spec):
    """Panels of a sweep: dataset -> split -> setting -> method -> value."""

    title: str
    reference: str
    panels: Annotated[dict[str, dict[str, dict[str, dict[str, float]]]], Field(min_length=1)]


class ComparisonSpec(Spec):
    """Methods side by side; no runs: no error bars from images."""

    title: str
    runs: list[EvaluatedRun]


class FigureSpec(Spec):
    """A figure of test images."""

    title: str
    labels: Names
    images: list[str]
    count: int = Field(ge=1)
    hashes: list[str] | None = None


class SimilaritySpec(FigureSpec):
    """A figure of similarities to one pixel."""

    pixel: tuple[int, int] | None


class SiteMethod(Spec):
    """One method of the site."""

    method: str
    label: str
    folder: str


class SiteView(Spec):
    """One dataset and split of the site."""

    dataset: str
    title: str
    split: str
    groups: str
    methods: list[SiteMethod]


class SiteSpec(Spec):
    """The site."""

    title: str
    views: list[SiteView]


class ClaimFile(Spec):
    """One file of claims."""

    dataset: str
    split: str
    seed: int
    path: str


class CheckSpec(Spec):
    """Files of claims."""

    files: list[ClaimFile]


class Arm(Spec):
    """Class maps that are compared with others."""

    name: str
    start: str
    maps: str
    gamma: float
    kind: Literal["psa", "irn"] | None
    walk: WalkSettings | None


class Arms(RootModel[list[Arm]]):
    """All class maps of a dataset that are compared."""


class ContaArms(Spec):
    """Rounds and controls of CONTA, and their files of maps by name and stage."""

    rounds: Names
    controls: dict[str, str]
    maps: dict[str, dict[str, str]]


class ClassCounts(RootModel[dict[str, Annotated[int, Field(ge=1)]]]):
    """Number of classes by dataset."""


def read_spec(model: type[BaseModel], text: str, option: str) -> Any:
    """Read a specification; returns its JSON, whole. Raises UserError with one line per mistake."""
    content = read_option(text, option)
    parse(model, content, option)
    return content
