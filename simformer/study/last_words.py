"""Why a run of Snakemake has ended, read from its log and those of its jobs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ON_REQUEST = "Terminating processes on user request"
JOB_LOG = re.compile(r"^    log: (.+) \(check log file", re.MULTILINE)
"""In Snakemake's report of a failed job."""


def was_interrupted(logs: Iterable[str | Path]) -> bool:
    """Return whether signals alone have ended a run of Snakemake: each job that failed says so itself.

    Args:
        logs: of the run, which name the logs of its jobs relative to the working directory.
    """
    text = "".join(Path(log).read_text(encoding="utf-8", errors="replace") for log in logs)
    jobs = JOB_LOG.findall(text)
    return all(_says_so(Path(job)) for job in jobs) and bool(jobs or ON_REQUEST in text)


def _says_so(log: Path) -> bool:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
    except OSError:
        return False
    return next((line for line in reversed(lines) if line.strip()), "").startswith("interrupted")
