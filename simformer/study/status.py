"""How far a study is: every training behind its tables once, what runs, what failed, and when it will be done."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simformer.errors import UserError
from simformer.machine import slurm
from simformer.metrics import is_of
from simformer.study.catalogue import Catalogue, Cell
from simformer.study.end_time import hours_until_end
from simformer.study.files import MEASURE_FILES
from simformer.study.plan import Training, make_plan
from simformer.study.progress import Progress, last_error, read_progress
from simformer.study.runs import CELL, Runs
from simformer.study.sources import require_predictions

STATES = ("done", "running", "queued", "interrupted", "failed", "changed", "missing")
"""What a training can be; 'changed': done or begun with other settings or novel classes, so that it starts over."""


@dataclass(frozen=True)
class TrainingStatus:
    """One training.

    Attributes:
        cell: (dataset, split, method, seed); the split is 'full' where one training serves all splits.
        state: one of `STATES`.
        steps: optimiser steps in all.
        progress: how far it is.
        hours: estimated time until its end, once it runs; None where no speed was measured.
        reason: the error of a failed one, or why Slurm ended an interrupted one; None if unknown.
        log: log of its job.
        needed: files of its numbers that the tables need.
        results: those that are there.
        slurm_logs: folder of Slurm's own logs of the job; None without one.
        slurm_job: number and place of the job in Slurm's queue; None without one.
        stale: folder of its saved state, if the next run refuses that; None otherwise.
    """

    cell: Cell
    state: str
    steps: int
    progress: Progress
    hours: float | None
    reason: str | None
    log: Path
    needed: tuple[Path, ...]
    results: tuple[Path, ...] = ()
    slurm_logs: Path | None = None
    slurm_job: str | None = None
    stale: Path | None = None

    @property
    def name(self) -> str:
        """Its run directory below the study's results."""
        return "/".join([*self.cell[:3], f"seed{self.cell[3]}"])

    def content(self) -> dict[str, Any]:
        """Return everything as JSON types and paths."""
        place = dict(zip(CELL, self.cell, strict=True))
        return place | {name: value for name, value in asdict(self).items() if name != "cell"}


@dataclass(frozen=True)
class FailedJob:
    """A job other than a training, whose log ends with an error."""

    name: str
    reason: str
    log: Path


@dataclass(frozen=True)
class Status:
    """A study at one moment.

    Attributes:
        title: study and experiments.
        trainings: each once, teachers before their students.
        tables: experiment -> numbers that are there, and all that its table needs.
        failed_jobs: preparation, labels, evaluation and so on.
        device: 'GPU' or 'CPU-core', what `hours` are of.
        hours: estimated hours of training that are left, of one device, of the trainings whose speed was measured.
        jobs: trainings at a time that `end` assumes.
        end: estimated hours until all are trained; None if the speed of one was not measured.
    """

    title: str
    trainings: tuple[TrainingStatus, ...]
    tables: dict[str, tuple[int, int]]
    failed_jobs: tuple[FailedJob, ...]
    device: str
    hours: float
    jobs: int
    end: float | None

    def of(self, *states: str) -> list[TrainingStatus]:
        """Return the trainings that are in one of some states."""
        return [training for training in self.trainings if training.state in states]

    def content(self) -> dict[str, Any]:
        """Return everything as JSON types and paths."""
        return {
            "title": self.title,
            "counts": {state: len(self.of(state)) for state in STATES},
            "tables": {name: {"there": there, "needed": needed} for name, (there, needed) in self.tables.items()},
            "left": {"device": self.device, "hours": self.hours, "jobs": self.jobs, "hours_until_end": self.end},
            "failed_jobs": [asdict(job) for job in self.failed_jobs],
            "trainings": [training.content() for training in self.trainings],
        }


def make_status(
    catalogue: Catalogue, experiments: Sequence[str], now: float, gpu_here: bool, jobs: int | None = None
) -> Status:
    """Look at every training behind some experiments.

    Args:
        catalogue: the study.
        experiments: their names; empty: the study's.
        now: time, seconds since the epoch.
        gpu_here: whether GPUs will train, where no finished training tells.
        jobs: trainings at a time for the estimated end; default: as many as run now, at least one.
    """
    names, runs = tuple(experiments or catalogue.study.experiments), Runs(catalogue)
    plan = make_plan(catalogue, names)
    own = {kind for t in plan.trainings for kind, time in (("gpu", t.gpu), ("cpu", t.cpu)) if time and time.in_study}
    gpu = "gpu" in own if own else gpu_here
    numbers = {name: _numbers(catalogue, name) for name in names}
    needed: dict[Cell, dict[Path, None]] = {training.cell: {} for training in plan.trainings}
    there: set[Path] = set()
    usable: set[Path] = set()
    for file, cell, split in (triple for triples in numbers.values() for triple in triples):
        if file.exists() and is_of(file, catalogue.novel(cell[0], split)) and _scores_named(runs, file, cell):
            usable.add(file)
        if cell in needed:
            needed[cell][file] = None
        elif file in usable:  # scores of another program's predictions, behind which there is no training
            there.add(file)
    queue, logs = slurm.queue(Path.cwd()), slurm.logs_folder()
    found = []
    for training in plan.trainings:
        arguments = (training, tuple(needed[training.cell]), _log(catalogue, training.cell))
        if training.status == "done":
            found.append(_done(*arguments, usable))
        else:
            job = queue.get(slurm.comment("train", training.cell))
            job_logs = slurm.job_logs(logs, "train", training.cell)
            found.append(_open(*arguments, now, gpu, job, job_logs if job_logs.is_dir() else None))
    there |= {file for training in found for file in training.results}
    running_first = sorted((t for t in found if t.state != "done"), key=lambda t: t.state != "running")
    left = {training.cell: training.hours for training in running_first}
    known = {cell: hours for cell, hours in left.items() if hours is not None}
    jobs = jobs or max(1, sum(training.state == "running" for training in found))
    return Status(
        title=plan.title,
        trainings=tuple(found),
        tables={name: (sum(file in there for file, *_ in triples), len(triples)) for name, triples in numbers.items()},
        failed_jobs=_failed_jobs(Path(catalogue.study.results, "logs")),
        device="GPU" if gpu else "CPU-core",
        hours=sum(known.values()),
        jobs=jobs,
        end=hours_until_end(known, _teachers(catalogue, plan.trainings), jobs) if len(known) == len(left) else None,
    )


def _scores_named(runs: Runs, file: Path, cell: Cell) -> bool:
    """Whether a file of numbers is of a training, or of the folder of predictions that the study names."""
    try:
        if not runs.is_trained(cell):
            require_predictions(runs, cell, file)
    except UserError:
        return False
    return True


def _done(training: Training, needed: tuple[Path, ...], log: Path, usable: Container[Path]) -> TrainingStatus:
    model = (training.folder / "model.safetensors").stat().st_mtime
    results = tuple(file for file in needed if file in usable and file.stat().st_mtime >= model)
    progress = Progress(training.steps)
    return TrainingStatus(training.cell, "done", training.steps, progress, 0.0, None, log, needed, results)


def _open(
    training: Training,
    needed: tuple[Path, ...],
    log: Path,
    now: float,
    gpu: bool,
    job: slurm.Job | None,
    slurm_logs: Path | None,
) -> TrainingStatus:
    """Tell the state of a training that is not done: by Slurm if it knows the job, else by the files that grow."""
    progress = read_progress(training.folder, log, now)
    begun = (training.folder / "state").is_dir()
    reason = None
    if job is not None:
        state = "queued" if job.state == "PENDING" else "running"
    elif progress.alive and (begun or training.status == "to do"):
        state = "running"
    elif progress.error:
        state, reason = "failed", progress.error
    elif begun and training.stale is None:
        state, reason = "interrupted", slurm.last_words(slurm_logs) if slurm_logs else None
    else:
        state = "changed" if training.status == "changed" else "missing"
    hours = _hours_left(training, progress, state == "running", gpu)
    slurm_job = f"{job.number} ({job.where})" if job else None
    return TrainingStatus(
        training.cell, state, training.steps, progress, hours, reason, log, needed,
        slurm_logs=slurm_logs, slurm_job=slurm_job, stale=training.stale,
    )  # fmt: skip


def _hours_left(training: Training, progress: Progress, running: bool, gpu: bool) -> float | None:
    """Estimate by its own speed if it runs, else by the plan's; what is not saved is to be done again."""
    steps = training.steps - (progress.step if running or progress.saved is not None else 0)
    if running and progress.speed:
        return steps / progress.speed / 3600
    whole = training.gpu if gpu else training.cpu
    return None if whole is None else whole.hours * steps / training.steps


def _log(catalogue: Catalogue, cell: Cell) -> Path:
    dataset, split, method, seed = cell
    return Path(catalogue.study.results, "logs", "train", f"{dataset}.{split}.{method}.seed{seed}.log")


def _numbers(catalogue: Catalogue, name: str) -> list[tuple[Path, Cell, str]]:
    """Return the files of numbers that a table needs, each with the training behind it, and the split that it is of."""
    file = MEASURE_FILES[catalogue.experiment(name).measure]
    return [
        (
            Path(catalogue.study.results, dataset, split, method, f"seed{seed}", file),
            (dataset, catalogue.trained_split(split, method), method, seed),
            split,
        )
        for dataset, split, method, seed in catalogue.cells(name)
    ]


def _teachers(catalogue: Catalogue, trainings: Sequence[Training]) -> Mapping[Cell, Cell]:
    """Return the training that must be done before another one: student -> teacher."""
    teachers: dict[Cell, Cell] = {}
    for dataset, split, method, seed in (training.cell for training in trainings):
        *_, teacher = [None, *catalogue.training_chain(method)[:-1]]
        if teacher is not None:
            teachers[dataset, split, method, seed] = dataset, catalogue.trained_split(split, teacher), teacher, seed
    return teachers


def _failed_jobs(logs: Path) -> tuple[FailedJob, ...]:
    """Return every job but the trainings whose log ends with an error; a job that is run again empties its log."""
    others = [log for log in sorted(logs.rglob("*.log")) if log.parent != logs / "train" and log.stat().st_size]
    errors = ((log, last_error(log)) for log in others)
    return tuple(FailedJob(str(log.relative_to(logs).with_suffix("")), error, log) for log, error in errors if error)
