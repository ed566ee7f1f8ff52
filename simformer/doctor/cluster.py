"""Checks of Slurm and of Snakemake's way to it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simformer.doctor.check import Check
from simformer.doctor.packages import installed
from simformer.machine.slurm import ask, find_profile, read_profile

COMMANDS = ("sbatch", "squeue", "sinfo", "scancel")
PLUGIN = "snakemake-executor-plugin-slurm"


def check_cluster() -> Iterator[Check]:
    """Check the commands of Slurm, its partitions and accounting, the executor plugin and the profile."""
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if len(missing) == len(COMMANDS):
        yield Check("slurm", "ok", "none here: jobs run on this machine")
        return
    if missing:
        fix = "type this on a login node, or load the cluster's Slurm module"
        yield Check("slurm", "problem", f"not on PATH: {', '.join(missing)}", fix)
    else:
        yield Check("slurm", "ok", ", ".join(COMMANDS) + " on PATH")
    yield _plugin()
    profile = find_profile("slurm")
    content = read_profile(profile) if profile else {}
    yield _profile(profile, content)
    yield _partitions(_named_partitions(content))
    yield _accounting(content)


def _plugin() -> Check:
    if version := installed(PLUGIN):
        return Check("slurm plugin", "ok", f"{PLUGIN} {version}")
    return Check("slurm plugin", "problem", f"{PLUGIN} is not installed", f"pip install {PLUGIN}")


def _profile(profile: Path | None, content: Mapping[str, Any]) -> Check:
    if profile is None:
        fix = "go to the root of the repository, or give the profile's path: snakemake --profile FOLDER"
        return Check("slurm profile", "problem", f"`--profile slurm` finds none from {Path.cwd()}", fix)
    if content.get("executor") != "slurm":
        found = f"{profile}: does not submit to Slurm"
        return Check("slurm profile", "problem", found, "add the line: executor: slurm")
    return Check("slurm profile", "ok", f"`--profile slurm` reads {profile}")


def _partitions(wanted: set[str]) -> Check:
    answer = ask("sinfo", "--noheader", "--format=%R|%G")
    if answer.status != 0:
        reason = answer.error or "sinfo fails"
        return Check("partitions", "problem", f"Slurm does not answer ({reason})", "ask those who run the cluster")
    resources: dict[str, set[str]] = {}
    for line in answer.output.splitlines():
        name, _, gres = line.partition("|")
        resources.setdefault(name.strip(), set()).update(re.findall(r"gpu[^,(\s]*", gres))
    told = ", ".join(f"{name} ({', '.join(sorted(g))})" if g else name for name, g in sorted(resources.items()))
    if unknown := sorted(wanted - set(resources)):
        found = f"the profile asks for {', '.join(unknown)}; there are: {told or 'none'}"
        return Check("partitions", "problem", found, "change slurm_partition in the profile")
    if not any(resources.values()):
        fix = "trainings ask for gpu=1: without GPUs set it to 0 in the profile, or ask those who run the cluster"
        return Check("partitions", "warning", f"{told or 'none'}: none of them declares a GPU", fix)
    return Check("partitions", "ok", told)


def _accounting(content: Mapping[str, Any]) -> Check:
    """Without accounting, the plugin's first question about its jobs goes to `sacct`, fails, and it waits for ever."""
    answer = ask("sacct", "--noheader", "--allocations", "--starttime=now")
    if answer.status == 0:
        return Check("accounting", "ok", "sacct answers")
    reason = answer.error or "sacct fails"
    if content.get("slurm-status-command") == "squeue":
        fix = "nothing; but if Snakemake no longer notices that jobs end, press Ctrl-C and type the same command"
        return Check(
            "accounting", "warning", f"none ({reason}): if the controller fails, Snakemake loses its jobs", fix
        )
    if shutil.which("sacct") is None:
        return Check("accounting", "ok", "no sacct here; Snakemake asks squeue instead")
    fix = "--slurm-status-command squeue (in the profile: slurm-status-command: squeue)"
    return Check("accounting", "problem", f"{reason}: Snakemake would wait for its jobs for ever", fix)


def _named_partitions(content: Any) -> set[str]:
    """Return the partitions that a profile names, environment variables filled in; computed ones are left out."""
    if isinstance(content, Mapping):
        own = {str(value) for key, value in content.items() if key == "slurm_partition"}
        found = own.union(*(_named_partitions(value) for value in content.values()))
    elif isinstance(content, list):
        found = {item.partition("=")[2] for item in map(str, content) if re.match(r"(\w+:)?slurm_partition=", item)}
    else:
        found = set()
    names = {name.strip("'\"") for text in found for name in os.path.expandvars(text).split(",")}
    return {name for name in names if re.fullmatch(r"[\w.-]+", name)}
