"""The page that `simformer status` prints: a grid of symbols, what runs, what failed, what is left."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from simformer.machine.terminal import WIDTH, counted, duration, paint
from simformer.study.catalogue import FULL_SPLIT
from simformer.study.status import Status, TrainingStatus
from simformer.text.visible import visible, visible_lines

SYMBOLS = {
    "evaluated": ("#", "green"),
    "trained": ("=", "green"),
    "running": (">", "cyan"),
    "queued": ("q", "cyan"),
    "interrupted": ("~", "yellow"),
    "failed": ("x", "red"),
    "changed": ("!", "yellow"),
    "missing": (".", "grey"),
}
"""Symbol and colour of a training in the grid."""
LISTED = 20
"""Trainings or jobs of a list that are told one by one; the rest is counted."""


def status_text(status: Status, now: datetime, colour: bool) -> str:
    """Lay a status out, at most 100 columns wide (longer names and paths are not cut).

    Args:
        status: the study.
        now: local time, from which the end is counted.
        colour: whether to colour symbols and headings.
    """
    running, failed = status.of("running"), status.of("failed")
    sections = [
        _head(status),
        *_grids(status.trainings, colour),
        [_legend(colour)],
        _list("running", "cyan", colour, [_running(t) for t in running]),
        _list("queued in Slurm", "cyan", colour, [[f"{t.name}  job {t.slurm_job}"] for t in status.of("queued")]),
        _list("interrupted; the same snakemake command continues them", "yellow", colour, _interrupted(status)),
        _list("failed", "red", colour, [_failed(t.name, t.reason, t.log, t.slurm_logs) for t in failed]),
        _list("other failed jobs", "red", colour, [_failed(j.name, j.reason, j.log, None) for j in status.failed_jobs]),
        _list(
            "trained with other settings, novel classes, labels or data; they will be trained again", "yellow", colour,
            [[t.name] for t in status.of("changed") if t.stale is None],
        ),
        _list(
            "begun with other settings, novel classes, labels or initial weights, so the next run refuses their saved "
            "state:\ndelete these folders to start over, or restore what was changed to continue", "yellow", colour,
            [[visible(str(t.stale), None)] for t in status.trainings if t.stale is not None],
        ),
        _left(status, now),
    ]  # fmt: skip
    return "\n\n".join("\n".join(section) for section in sections if section)


def _head(status: Status) -> list[str]:
    done = len(status.of("done"))
    evaluated = sum(_kind(training) == "evaluated" for training in status.trainings)
    others = [f"{len(status.of(s))} {s}" for s in ("running", "queued", "interrupted", "failed", "changed", "missing")]
    counts = ", ".join([f"{done} done ({evaluated} evaluated)", *(c for c in others if not c.startswith("0 "))])
    tables = ", ".join(f"{name} {there}/{needed}" for name, (there, needed) in status.tables.items())
    return [
        *textwrap.wrap(
            f"{visible(status.title, None)}: {counted(len(status.trainings), 'training')}",
            WIDTH,
            subsequent_indent="  ",
        ),
        *textwrap.wrap(f"  trainings: {counts}", WIDTH, subsequent_indent="    "),
        *textwrap.wrap(f"  numbers for tables: {tables}", WIDTH, subsequent_indent="    "),
    ]


def _grids(trainings: Sequence[TrainingStatus], colour: bool) -> Iterator[list[str]]:
    """Yield one grid per dataset: rows methods, columns splits, one symbol per seed; wide ones in several pieces."""
    label = max((len(t.cell[2]) for t in trainings), default=0)
    for dataset in dict.fromkeys(t.cell[0] for t in trainings):
        mine = [t for t in trainings if t.cell[0] == dataset]
        splits = sorted({t.cell[1] for t in mine}, key=lambda split: (split == FULL_SPLIT, len(split), split))
        seeds = {s: sorted({t.cell[3] for t in mine if t.cell[1] == s}) for s in splits}
        widths = {s: max(len(_short(s)), len(seeds[s])) for s in splits}
        rest = splits
        while rest:
            room, taken = WIDTH - label - len("  done 000/000"), 0
            while taken < len(rest) and (room := room - 2 - widths[rest[taken]]) >= 0:
                taken += 1
            columns, rest = rest[: max(1, taken)], rest[max(1, taken) :]
            yield _grid(mine, dataset, label, {split: (seeds[split], widths[split]) for split in columns}, colour)


def _grid(
    trainings: Sequence[TrainingStatus],
    dataset: str,
    label: int,
    columns: dict[str, tuple[list[int], int]],
    colour: bool,
) -> list[str]:
    """Return one grid; columns are splits, each with its seeds and its width."""
    every = sorted({seed for seeds, _ in columns.values() for seed in seeds})
    title = f"{dataset}, one symbol per seed ({', '.join(map(str, every))})" if len(every) > 1 else dataset
    head = "".join(f"  {_short(split):<{width}}" for split, (_, width) in columns.items())
    lines = [title, f"  {'split':>{label}}{head}  done"]
    for method in dict.fromkeys(t.cell[2] for t in trainings if t.cell[1] in columns):
        row = {t.cell[1::2]: t for t in trainings if t.cell[2] == method and t.cell[1] in columns}
        line = f"  {method:<{label}}"
        for split, (seeds, width) in columns.items():
            found = [row.get((split, seed)) for seed in seeds]
            line += "  " + "".join(_symbol(_kind(t), colour) if t else " " for t in found) + " " * (width - len(seeds))
        done = sum(t.state == "done" for t in row.values())
        lines.append(f"{line}  {done}/{len(row)}")
    return lines


def _short(split: str) -> str:
    return split.removeprefix("split")


def _kind(training: TrainingStatus) -> str:
    if training.state != "done":
        return training.state
    return "evaluated" if len(training.results) == len(training.needed) else "trained"


def _symbol(kind: str, colour: bool) -> str:
    symbol, tint = SYMBOLS[kind]
    return paint(symbol, tint if colour else None)


def _legend(colour: bool) -> str:
    words = {"changed": "other settings"}
    return "  ".join(f"{_symbol(kind, colour)} {words.get(kind, kind)}" for kind in SYMBOLS)


def _list(title: str, tint: str, colour: bool, items: Sequence[list[str]]) -> list[str]:
    if not items:
        return []
    lines = [f"  {line}" for item in items[:LISTED] for line in item]
    more = [f"  ... and {len(items) - LISTED} more (--json lists all)"] if len(items) > LISTED else []
    return [paint(title, tint if colour else None), *lines, *more]


def _running(training: TrainingStatus) -> list[str]:
    progress = training.progress
    step = f"{progress.step}/{training.steps}"
    speed = f"{progress.speed:.3g} steps/s" if progress.speed else "starting"
    left = "?" if training.hours is None or not progress.speed else duration(3600 * training.hours)
    seen = "" if progress.quiet is None else f"seen {duration(progress.quiet)} ago"
    job = f"  job {training.slurm_job}" if training.slurm_job else ""
    return [f"{training.name:<45} {step:>13} {speed:>14}  {left:>9} left  {seen}{job}".rstrip()]


def _interrupted(status: Status) -> list[list[str]]:
    lines = []
    for training in status.of("interrupted"):
        saved = training.progress.saved
        state = f"saved {duration(saved)} ago" if saved is not None else "nothing saved, starts over"
        step = f"{training.progress.step}/{training.steps}"
        lines.append([f"{training.name:<45} {step:>13}  {state}"])
        lines[-1] += [f"  Slurm: {visible(training.reason)}"] if training.reason else []
    return lines


def _failed(name: str, reason: str | None, log: Path, slurm_logs: Path | None) -> list[str]:
    message = textwrap.wrap(
        visible_lines(reason or ""), WIDTH - 6, max_lines=3, placeholder=" ...", break_long_words=False
    )
    logs = [
        f"  log: {visible(str(log), None)}",
        *([f"  Slurm's: {visible(str(slurm_logs), None)}/"] if slurm_logs else []),
    ]
    return [name, *(f"    {line}" for line in message), *(f"  {line}" for line in logs)]


def _left(status: Status, now: datetime) -> list[str]:
    if len(status.of("done")) == len(status.trainings):
        return []
    unfinished = [training for training in status.trainings if training.state != "done"]
    unknown = sum(training.hours is None for training in unfinished)
    if unknown == len(unfinished):
        return ["left: no training of these methods was measured; the first one that runs will show it"]
    total = f"{status.hours:.1f}" if status.hours >= 1 else f"{status.hours:.2f}"
    more = f", and {counted(unknown, 'training')} whose speed was not measured" if unknown else ""
    lines = [f"left: {total} {status.device}-hours of training, at measured speeds{more}"]
    if status.end is None:
        return lines
    end = now + timedelta(hours=status.end)
    return [
        *lines,
        f"end: in {duration(3600 * status.end)} ({end:%a %d %b %Y %H:%M}), {status.jobs} at a time, "
        "plus the time to make labels and to evaluate",
    ]
