"""Exceptions that the command line prints without a traceback: mistakes that a user can correct, and interruptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

SHOWN_PROBLEMS = 20
"""Problems that are written out; the rest is only counted."""

MAKES_IT = "delete it and run snakemake again"
"""What to do about a generated file that is damaged or has another version."""

OUTSIDE = (
    "there is no Snakefile in this folder; go to the folder of the workflow, make one with `simformer init study`, or "
    "give the whole path of the file"
)
"""What to do about a missing file, for a person who is somewhere else than the workflow."""

WORKFLOW_FOLDERS = ("config", "results", "data")
"""Where the files of a workflow lie; a missing file elsewhere is the user's own."""


def if_made(remedy: str = MAKES_IT) -> str:
    """Return what to do about a file of the wrong kind, which may be the user's own: only a generated one may go."""
    return f"give another file; if snakemake made this one, {remedy}"


class UserError(Exception):
    """Bad input. The message says what was found, where, what was expected, and what to type."""


class Interrupted(Exception):
    """Training stopped on a signal; its state is saved.

    Args:
        message: after which step, and what to type.
        number: of the signal; the exit status is that of a process which it has ended.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number


class AlreadyTold(Exception):
    """This process ends because of a problem that another process of the same training has reported to the user.

    Args:
        status: exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def describe_problems(where: Path | str, problems: Sequence[str], what: str = "this dataset") -> str:
    """Return one message for all problems of a dataset: a single one in one line, else the first 20, a line each."""
    if len(problems) == 1:
        return f"{where}: 1 problem found in {what}: {problems[0]}"
    lines = [f"{where}: {len(problems)} problems found in {what}:"]
    lines += [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  ... and {len(problems) - SHOWN_PROBLEMS} more")
    return "\n".join(lines)


def from_here(path: Path) -> str:
    """Return the end of a message about a missing file: `OUTSIDE` if it is a workflow's, and there is none here."""
    here = any(Path(name).exists() for name in ("Snakefile", "workflow/Snakefile"))
    return f"; {OUTSIDE}" if path.parts[:1] in [(name,) for name in WORKFLOW_FOLDERS] and not here else ""


def some(items: Sequence[str], shown: int) -> str:
    """Return the first items in words and the number of the others."""
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more


def did_you_mean(name: str, known: Iterable[str], then: str = "", nearness: float = 0.6) -> str:
    """Return the end of a message about an unknown name: `; did you mean '...'?` if a known name is near.

    Args:
        name: as given.
        known: the names that there are.
        then: a sentence that follows, whether one is near or not.
        nearness: how much of the letters a near name shares, 0 to 1.
    """
    from difflib import get_close_matches  # here: the command line starts without it

    near = get_close_matches(name, list(known), n=1, cutoff=nearness)
    hint = f"; did you mean '{near[0]}'?" if near else "." if then else ""
    return f"{hint} {then}" if then else hint


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, else its kind."""
    return next(iter(str(error).splitlines()), type(error).__name__)
