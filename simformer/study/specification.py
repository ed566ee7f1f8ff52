"""What a job works on. It is derived from the study, so no command line grows with the number of runs.

The workflow and the job ask the same function of the study's runs. The plan keeps a short hash of the answer, so that a
job runs again if, and only if, it changes; a job whose answer is another one has been overtaken by an edit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simformer.config.layers import RECIPE_VERSION, read_study
from simformer.config.paths import config_folder
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.runs import EvaluatedRun, Runs, ScoredRun, files_of_numbers
from simformer.study.sources import require_predictions


def read_runs(files: Sequence[Path], configuration: Path | None = None, overrides: Sequence[str] = ()) -> Runs:
    """Read a study as the workflow does; returns its runs.

    Args:
        files: study files; later ones win.
        configuration: folder of the datasets, methods, experiments and figures; None: see `config_folder`.
        overrides: KEY=VALUE, as in `snakemake --config`; they win over the files.
    """
    names = tuple(map(str, files))
    content = read_study(files, overrides)
    return Runs(Catalogue(content, ", ".join(names) or "--config", configuration or config_folder(files)), names)


def digest(specification: object) -> str:
    """Return a short hash of what a job works on, and of the recipe by which results are made."""
    text = json.dumps([RECIPE_VERSION, specification], sort_keys=True, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def specification(runs: Runs, expected: str | None, describe: Callable[..., Any], *names: object) -> Any:
    """Return what a job works on, as plain mappings and lists.

    Args:
        runs: of the study.
        expected: hash of it in the plan; None: not compared.
        describe: function of the runs and of the names.
    Raises: UserError if the files of the study have changed since the plan, or numbers of another program's
        predictions are of another folder than the study names.
    """
    found = describe(runs, *names)
    if expected is not None and digest(found) != expected:
        raise UserError(
            f"{runs.catalogue.source}: the study, or a file that it names, has changed since this job was planned; "
            "run snakemake again"
        )
    named = found.get("runs", ()) if isinstance(found, dict) else ()
    for run in (run for run in named if isinstance(run, ScoredRun | EvaluatedRun)):
        cell = run.dataset, run.split, run.method, run.seed
        if not runs.is_trained(cell):
            for file in filter(Path.exists, map(Path, files_of_numbers(run))):
                require_predictions(runs, cell, file)
    return json.loads(json.dumps(found, default=asdict))
