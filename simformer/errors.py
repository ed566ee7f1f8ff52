"""The one exception for mistakes that a user can mend: the command line prints it without a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SHOWN_PROBLEMS = 20
"""Problems that are spelled out; the rest is counted."""


class UserError(Exception):
    """Bad input. The message says what was found, where, what was expected, and what to type."""


def describe_problems(where: Path | str, problems: Sequence[str]) -> str:
    """Return one message for all problems of a dataset: the first 20 in words, one line each."""
    lines = [f"{where}: {len(problems)} problem{'s' if len(problems) > 1 else ''} found in this dataset:"]
    lines += [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  ... and {len(problems) - SHOWN_PROBLEMS} more")
    return "\n".join(lines)
