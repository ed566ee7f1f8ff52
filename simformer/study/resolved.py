"""The study as a plan has read it, in one file among its results: jobs derive from it what they work on.

A job gets the file and a few names, e.g. of a table, in place of a list that grows with the study. The plan keeps a
short hash of what they stand for, so that a job runs again if, and only if, that changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from simformer.atomic import atomic_write_text
from simformer.config.layers import RECIPE_VERSION, parse, read_yaml
from simformer.config.settings import Settings
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.runs import Runs
from simformer.text.strict_json import read_option


class ResolvedStudy(Settings):
    """What the file holds; keys have one order, whatever order the user's files have."""

    configuration: str = Field(description="Folder of the datasets, methods, experiments and figures.")
    files: tuple[str, ...] = Field(description="Study files that the user has named.")
    study: dict[str, Any] = Field(description="Their content, with that of Snakemake's command line.")

    @classmethod
    def of(cls, runs: Runs) -> ResolvedStudy:
        """Return what tells a study again."""
        study = runs.catalogue.study
        content = study.model_dump(mode="json", exclude_unset=True) | {"results": study.results, "data": study.data}
        return cls(configuration=str(runs.catalogue.root), files=runs.study_files, study=content)

    def runs(self) -> Runs:
        """Return the runs of the study; raises UserError as `Catalogue`."""
        source = ", ".join(self.files) or "--config"
        return Runs(Catalogue(self.study, source, Path(self.configuration)), self.files)


def write_resolved(text: str, output: Path) -> None:
    """Write the file from its content as JSON; raises UserError for any other content."""
    content = parse(ResolvedStudy, read_option(text, "--content"), "--content")
    content.runs()
    head = "# Written by snakemake, for the commands of the study; edit the study instead.\n"
    atomic_write_text(output, head + yaml.safe_dump(content.model_dump(mode="json"), sort_keys=False, width=120))


def read_runs(path: Path) -> Runs:
    """Read such a file, or a study file of a user, as the runs of its study."""
    content = read_yaml(path)
    if "study" in content:
        return parse(ResolvedStudy, content, str(path)).runs()
    return Runs(Catalogue.read(path), (str(path),))


def digest(specification: object) -> str:
    """Return a short hash of what a job works on, and of the recipe by which results are made."""
    text = json.dumps([RECIPE_VERSION, specification], sort_keys=True, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def specification(study: Path, expected: str | None, describe: Callable[..., Any], *names: object) -> Any:
    """Return what a job works on, as plain mappings and lists.

    Args:
        study: see `read_runs`.
        expected: hash of it in the plan; None: not compared.
        describe: function of the runs of the study and of the names.
    Raises: UserError if the files of the study have changed since the plan.
    """
    found = describe(read_runs(study), *names)
    if expected is not None and digest(found) != expected:
        raise UserError(
            f"{study}: the study, or a file that it names, has changed since this job was planned; run snakemake again"
        )
    return json.loads(json.dumps(found, default=asdict))
