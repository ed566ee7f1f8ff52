"""Checks of what a study reads from outside: datasets and initial backbone weights."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from simformer.config.fields import NO_FILES, TIMM
from simformer.config.paths import own_file, pip_install
from simformer.config.sources import archives
from simformer.data.layout import CLASSES
from simformer.doctor.check import Check
from simformer.doctor.packages import installed
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.initial_weights import initial_weights, weights_file, weights_key
from simformer.study.plan import Plan
from simformer.study.progress import last_error
from simformer.study.sources import absent_predictions, own_sources

FETCH = "snakemake fetch_all --cores 1 --configfile {study} (on a machine with internet)"


def check_inputs(catalogue: Catalogue, plan: Plan) -> Iterator[Check]:
    """Check that datasets and weights are there, or can be had, for the trainings that are still to be done."""
    for dataset in dict.fromkeys(training.cell[0] for training in plan.trainings):
        yield _dataset(catalogue, dataset)
    cells = [training.cell for training in plan.missing]
    weights = initial_weights(catalogue, cells)
    if named := [backbone for _, backbone, _ in weights if backbone.startswith(TIMM)]:
        there, words = installed("timm"), ", ".join(dict.fromkeys(named))
        if there:
            yield Check("timm", "ok", f"{there}, for {words}")
        else:
            yield Check("timm", "problem", f"not installed; needed by {words}", pip_install("timm"))
    for dataset, backbone, source in weights:
        if source != "none":
            key = "" if source in NO_FILES else weights_key(catalogue, cells, dataset, backbone, source)
            yield _backbone(catalogue, dataset, backbone, source, key)
    for problem in absent_predictions(catalogue, catalogue.study.experiments):
        yield Check("predictions", "problem", *_split_fix(UserError(problem)))


def _dataset(catalogue: Catalogue, dataset: str) -> Check:
    name, root = f"data {dataset}", Path(catalogue.study.data)
    index, source = root / dataset / "index.json", catalogue.datasets[dataset].source
    if index.exists():
        return Check(name, "ok", f"prepared and audited: {index}")
    prepared, log = (root / dataset / CLASSES).exists(), Path(catalogue.study.results, f"logs/audit/{dataset}.log")
    if prepared and (error := last_error(log)):
        fix = f"correct what {log} lists, as it says at its end, and type the same snakemake command"
        return Check(name, "problem", f"prepared, but the audit has failed: {error}", fix)
    state = "prepared, not audited yet" if prepared else "not prepared yet"
    if source.kind == "scenes":
        return Check(name, "ok", state if prepared else f"{state}; it will be generated, without a download")
    try:
        paths = [own_file(text, where) for where, text in own_sources(catalogue, dataset).items()]
    except UserError as error:
        return Check(name, "problem", *_split_fix(error))
    fetched = [key for key, archive in archives(source).items() if archive.path is None]
    if waiting := [key for key in fetched if not (root / "downloads" / dataset / key).exists()]:
        fix = FETCH.format(study=shlex.quote(str(catalogue.source)))
        return Check(name, "warning", f"not downloaded yet: {', '.join(waiting)}", fix)
    there = [*map(str, paths), *fetched]
    known = f"its source {there[0]} exists" if len(there) == 1 else f"its sources {', '.join(there)} exist"
    return Check(name, "ok", f"{state}; {known}")


def _backbone(catalogue: Catalogue, dataset: str, backbone: str, source: str, key: str) -> Check:
    name = f"weights {dataset}"
    file = weights_file(catalogue, dataset, backbone)
    if file.exists():
        return Check(name, "ok", str(file))
    if source in NO_FILES:
        fix = FETCH.format(study=shlex.quote(str(catalogue.source)))
        return Check(name, "warning", f"{backbone}, {source}: not downloaded yet", fix)
    try:
        return Check(name, "ok", f"{backbone} from {own_file(source, key)}")
    except UserError as error:
        return Check(name, "problem", *_split_fix(error))


def _split_fix(error: UserError) -> tuple[str, str]:
    """Take apart what was found and what to type."""
    found, _, fix = str(error).partition("; ")
    return found, fix
