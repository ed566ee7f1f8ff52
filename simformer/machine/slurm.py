"""What Slurm says about this user's jobs, where it keeps their logs, and which Snakemake profile submits them."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROFILE_FILES = ("profile.v9+.yaml", "config.v9+.yaml", "profile.yaml", "config.yaml")
"""Names that the file in a profile's folder may have."""
TIMEOUT = 4.0
"""Seconds that a command of Slurm may take."""
_LAST_WORDS = re.compile(r"slurmstepd: error: (.*(?:CANCELLED|oom|OOM).*)")


@dataclass(frozen=True)
class Job:
    """A job in Slurm's queue.

    Attributes:
        number: its id.
        state: e.g. 'PENDING', 'RUNNING'.
        where: nodes of a running job, reason of a waiting one.
    """

    number: str
    state: str
    where: str


@dataclass(frozen=True)
class Answer:
    """What a command said: its exit status (None: not found, or too slow), output, and the last line of its errors."""

    status: int | None
    output: str
    error: str


def ask(*command: str) -> Answer:
    """Run a command that answers at once; never raises."""
    if shutil.which(command[0]) is None:
        return Answer(None, "", f"{command[0]}: not on PATH")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, errors="replace")
    except subprocess.TimeoutExpired:
        return Answer(None, "", f"{command[0]}: no answer in {TIMEOUT:.0f} s")
    except OSError as error:
        return Answer(None, "", f"{command[0]}: {error.strerror or error}")
    return Answer(done.returncode, done.stdout, (done.stderr.strip().splitlines() or [""])[-1])


def gpus_here() -> bool:
    """Return whether jobs that are started here can have a GPU: of this machine, or of a node of Slurm."""
    return shutil.which("nvidia-smi") is not None or "gpu" in ask("sinfo", "--noheader", "--format=%G").output


def queue(folder: Path) -> dict[str, Job]:
    """Return this user's jobs that Snakemake submitted from a folder, by the comment that names rule and wildcards.

    Two studies of one folder that train the same dataset, split, method and seed cannot be told apart.
    Empty without Slurm, or when it does not answer.
    """
    answer = ask("squeue", "--noheader", "--user", getpass.getuser(), "--format=%i|%T|%R|%Z|%k")
    jobs: dict[str, Job] = {}
    for line in answer.output.splitlines() if answer.status == 0 else []:
        number, state, where, submitted, comment = (line.split("|", 4) + [""] * 4)[:5]
        if comment and os.path.realpath(submitted) == os.path.realpath(folder):
            jobs[comment] = Job(number, state, where.strip("()"))
    return jobs


def comment(rule: str, wildcards: Sequence[Any]) -> str:
    """Return the comment that Snakemake's executor gives a job."""
    return f"rule_{rule}_wildcards_{'_'.join(map(str, wildcards))}"


def logs_folder() -> Path:
    """Return the folder of Slurm's own logs (what happened before and after a job's command)."""
    profile = find_profile("slurm")
    folder = (read_profile(profile) if profile else {}).get("slurm-logdir") or ".snakemake/slurm_logs"
    return Path(os.path.expandvars(folder))


def job_logs(folder: Path, rule: str, wildcards: Sequence[Any]) -> Path:
    """Return where in that folder the logs of one job are, one for each time that it was submitted."""
    return folder / f"rule_{rule}" / "_".join(map(str, wildcards))


def last_words(logs: Path) -> str | None:
    """Return why Slurm ended the last job of a folder of logs (time limit, memory, cancelled); None if it did not."""
    files = sorted(logs.glob("*.log"), key=lambda path: path.stat().st_mtime)
    found = _LAST_WORDS.findall(files[-1].read_text(encoding="utf-8", errors="replace")) if files else []
    return found[-1].strip("* ") if found else None


def find_profile(name: str) -> Path | None:
    """Return the file that `snakemake --profile NAME` reads when it is started here; None if there is none.

    Looked for in the working directory first, then in the user's and the system's configuration. A folder of that
    name without a profile in it ends the search, as it does in Snakemake.
    """
    user = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    system = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)[0]
    for place in (Path(name), Path(user, "snakemake", name), Path(system, "snakemake", name)):
        if place.is_file():
            return place
        if place.is_dir():
            return next((place / file for file in PROFILE_FILES if (place / file).is_file()), None)
    return None


def read_profile(path: Path) -> dict[str, Any]:
    """Return the keys of a profile as they are written; {} if it is not YAML."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
