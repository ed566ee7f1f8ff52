"""How far an unfinished training is, and whether it still runs, judged by its growing files."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from simformer.training.record import resumed_at

PATIENCE = 120.0
"""Seconds without a sign of life after which a training counts as stopped, if three log rows take no longer."""
START_PATIENCE = 600.0
"""The same before the first log row: reading data, building the network."""
RECENT_ROWS = 10
"""Log rows over which the speed is taken."""
TAIL_BYTES = 16_384
"""What of a job's log is read."""

_BAR = re.compile(r"\| *(\d+)/\d+ \[")
_START = r"(?:^|\])(?:\[?rank ?\d+\]?: *)?"  # a message may follow right behind a progress bar
_ERROR = re.compile(_START + r"(error: .+|Fatal Python error: .+|[\w.]*(?:Error|Exception)\b.*)")
_STOPPED = re.compile(_START + r"interrupted[:;]")


@dataclass(frozen=True)
class Progress:
    """What the files of an unfinished training tell.

    Attributes:
        step: finished steps, as far as they are logged.
        speed: steps per second over the last log rows of the last attempt; None before the first.
        rows_every: seconds between these rows; None before the second.
        quiet: seconds since the last sign of life (log row, progress bar, saved state); None: no file at all.
        saved: seconds since the state was saved; None: nothing saved, so that it would start over.
        stopped: whether it said that it stopped on a signal.
        error: the message with which it ended; None without one.
    """

    step: int = 0
    speed: float | None = None
    rows_every: float | None = None
    quiet: float | None = None
    saved: float | None = None
    stopped: bool = False
    error: str | None = None

    @property
    def alive(self) -> bool:
        """Whether its process runs, as far as files can tell: written lately, and no last words.

        A killed process leaves no last words, so that it counts as alive until the patience is over.
        """
        if self.stopped or self.error or self.quiet is None:
            return False
        return self.quiet < (START_PATIENCE if self.speed is None else max(PATIENCE, 3 * (self.rows_every or 0)))


def read_progress(folder: Path, log: Path, now: float) -> Progress:
    """Read the state directory and the job's log of a training that is not done.

    Args:
        folder: its run directory, with `state/`.
        log: log of the job.
        now: time, seconds since the epoch.
    """
    rows_file, state_file = folder / "state" / "log.csv", folder / "state" / "state.pt"
    lines = _tail(log)
    row_step, speed, rows_every = _speed(rows_file, resumed_at(folder / "state"))
    bars = [int(match[1]) for line in lines for match in _BAR.finditer(line)]
    signs = [age for age in (_age(path, now) for path in (rows_file, state_file, log)) if age is not None]
    return Progress(
        step=max([row_step, *bars[-1:]]),
        speed=speed,
        rows_every=rows_every,
        quiet=min(signs, default=None),
        saved=_age(state_file, now),
        stopped=any(_STOPPED.search(line) for line in lines[-3:]),
        error=_last_error(lines),
    )


def last_error(log: Path) -> str | None:
    """Return the error with which a job's log ends; None if it ends otherwise, or there is no log."""
    return _last_error(_tail(log))


def _last_error(lines: list[str]) -> str | None:
    """Return the last error, unless the job went on after it, or was stopped by a signal."""
    for line in reversed(lines):
        if match := _ERROR.search(line):
            return match[1]
        if _STOPPED.search(line) or _BAR.search(line):
            return None
    return None


def _tail(log: Path) -> list[str]:
    """Return the last lines of a log that are not blank; a progress bar rewrites its line after a carriage return."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def _speed(path: Path, first: int) -> tuple[int, float | None, float | None]:
    """Return the last logged step, and of the last attempt alone steps per second and seconds per row.

    The clock of the rows goes on over all attempts. Between two of them it counts how long the later one needed to
    begin, which is no training, and steps are done twice. So no speed is taken across them, nor from the first row of a
    later attempt.

    Args:
        path: the log.
        first: steps that were done when the last attempt began.
    """
    rows: list[tuple[int, float]] = []
    with suppress(FileNotFoundError), path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if not row.get("seconds"):
                continue  # a row that is being written
            with suppress(KeyError, TypeError, ValueError):  # a damaged row, of which the training tells
                rows.append((int(row["step"]), float(row["seconds"])))
    last = rows[-1][0] if rows else 0
    recent = [row for row in rows if row[0] > first][-RECENT_ROWS:]
    if not recent:
        return last, None, None
    if len(recent) == 1:
        step, seconds = recent[0]
        return last, (step / seconds if seconds and not first else None), None
    steps, seconds = recent[-1][0] - recent[0][0], recent[-1][1] - recent[0][1]
    return last, (steps / seconds if seconds else None), seconds / (len(recent) - 1)


def _age(path: Path, now: float) -> float | None:
    try:
        return max(0.0, now - path.stat().st_mtime)
    except FileNotFoundError:
        return None
