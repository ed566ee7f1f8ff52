"""How far an unfinished training is, and whether it still runs, judged by its growing files."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120.0
"""Seconds without a sign of life after which a training counts as stopped, if three log rows take no longer."""
START_PATIENCE = 600.0
"""The same before the first log row: reading data, building the network."""
RECENT_ROWS = 10
"""Log rows over which the speed is taken."""
TAIL_BYTES = 16_384
"""What of a job's log is read."""

_BAR = re.compile(r"\| *(\d+)/\d+ \[")
_START = r"(?:^|\])(?:\[?rank ?\d+\]?: *)?"  # a message may stand right behind a progress bar
_ERROR = re.compile(_START + r"(error: .+|Fatal Python error: .+|[\w.]*(?:Error|Exception)\b.*)")
_STOPPED = re.compile(_START + r"interrupted[:;]")


@dataclass(frozen=True)
class Progress:
    """What the files of an unfinished training tell.

    Attributes:
        step: finished steps, as far as they are logged.
        speed: steps per second over the last log rows; None before the first.
        rows_every: seconds between the last log rows; None before the second.
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
    row_step, speed, rows_every = _speed(rows_file)
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


def _speed(path: Path) -> tuple[int, float | None, float | None]:
    """Return the last logged step, steps per second, and seconds per row, of the last attempt's rows.

    The clock of the rows begins anew with every attempt; the first row of a later attempt is not used for the speed,
    since some of its steps belong to the earlier one.
    """
    rows: list[tuple[int, float]] = []
    first_attempt = True
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if not row.get("seconds"):
                    continue  # a row that is being written
                try:
                    step, seconds = int(row["step"]), float(row["seconds"])
                except (KeyError, TypeError, ValueError):
                    continue  # a damaged row, of which the training tells
                if rows and seconds < rows[-1][1]:
                    rows, first_attempt = [], False
                rows.append((step, seconds))
    except FileNotFoundError:
        pass
    if not rows:
        return 0, None, None
    recent = rows[-RECENT_ROWS:]
    if len(recent) == 1:
        step, seconds = recent[0]
        return step, (step / seconds if first_attempt and seconds else None), None
    steps, seconds = recent[-1][0] - recent[0][0], recent[-1][1] - recent[0][1]
    return recent[-1][0], (steps / seconds if seconds else None), seconds / (len(recent) - 1)


def _age(path: Path, now: float) -> float | None:
    try:
        return max(0.0, now - path.stat().st_mtime)
    except FileNotFoundError:
        return None
