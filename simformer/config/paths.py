"""What a path in the configuration means, and where the files lie that a study names: one rule for every command.

A path may begin with `~` and may hold `$NAME` or `${NAME}`. A relative one is taken from the working directory, that of
the command or of `snakemake --directory`; `plan`, `status`, `doctor` and `keep`, which may be typed anywhere, first go
to the folder of the study's workflow (`workflow_folder`). Only a split's `file` belongs to the configuration, and is
taken from the folder above the configuration folder. Links are followed, and stay links.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from simformer.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]
_SHIPPED = _PACKAGE / "checkout"
"""What the wheel holds beside modules (setup.py); not there in a checkout."""
CHECKOUT = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent
"""The folder of `config/` and `workflow/`: the checkout, or the copy that the wheel has brought."""
PARTS = ("datasets", "methods", "experiments")
"""Folders that make a folder the configuration of a study."""
MARKS = (".snakemake", "Snakefile", "workflow/Snakefile")
"""What shows that snakemake runs in a folder."""
RULES = "workflow/helpers/study.smk"
"""What shows that a folder holds this workflow, whose `config/` snakemake takes for a study that lies elsewhere."""

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def expand_path(text: str, key: str) -> Path:
    """Return what a path written in the configuration means.

    Args:
        text: as it is written.
        key: where, for messages.

    Raises:
        UserError: it is empty, holds a control character, or a variable or home folder that does not exist.
    """
    if not text.strip():
        raise UserError(f"{key} is empty; name a file or folder")
    if odd := _CONTROL.search(text):
        raise UserError(f"{key} holds the control character {odd[0]!r}; take it out")

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not os.environ.get(name):
            raise UserError(
                f"{key} needs environment variable {name}, which is not set; type {name}=/path/to/it before the command"
            )
        return os.environ[name]

    expanded = os.path.expanduser(_VARIABLE.sub(value, text))
    if expanded.startswith("~"):
        raise UserError(f"{key} names no home folder of this machine, '{text}'; for a file of that name write ./{text}")
    return Path(expanded)


def own_file(text: str, key: str) -> Path:
    """Return a file that the configuration names; raises UserError if it is not there, or as `expand_path`.

    Args:
        text: as it is written.
        key: file and key, for messages.
    """
    path = expand_path(text, key)
    if not path.exists():
        remedy = f"set the variable in {text}, so that it leads to it" if "$" in text else "put it there"
        raise UserError(f"{key}: not there: {path}; {remedy}, or write its true place in {key}")
    return path


def expand_folder(text: str, key: str) -> str:
    """Return the folder that a study writes to, in the form that Snakemake takes; UserError if it cannot be one.

    Snakemake reads braces as wildcards, and a leading hyphen looks like an option to every command.
    """
    folder = str(expand_path(text, key))
    if odd := set("{}<>") & set(folder):
        raise UserError(f"{key} holds '{min(odd)}', which Snakemake takes for a wildcard; name another folder")
    if folder.startswith("-"):
        raise UserError(f"{key} begins with a hyphen, like an option; write its absolute path")
    if folder == "/":
        raise UserError(f"{key} is the root of all disks; name a folder of your own")
    if folder == ".":
        raise UserError(f"{key} is the working directory itself; name a folder in it, e.g. results/mine")
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UserError(f"{key} is the file '{folder}'; name a folder")
    return folder


def config_folder(studies: Sequence[Path], home: Path | None = None) -> Path:
    """Return the folder in which the datasets, methods, experiments and figures of a study are looked for.

    It is the folder of the study file (the last, if there are several) if that has subfolders for all of them, and
    otherwise `config/` of the workflow; relative to the working directory if that is where it lies.

    Args:
        studies: study files.
        home: folder of the workflow. Default: the working directory or the nearest folder above the study that holds
            one, as snakemake takes it; the checkout if there is none.
    """
    study = studies[-1] if studies else None
    if study is not None and _has_configuration(study.parent):
        return study.parent
    places = [Path(), *_above(study)] if study is not None else [Path()]
    folder = (home or next(filter(_holds_workflow, places), CHECKOUT)) / "config"
    return Path("config") if Path("config").exists() and folder.samefile("config") else folder


def workflow_folder(study: Path) -> Path | None:
    """Return the folder in which snakemake is run on a study, if that is another one than the working directory.

    It is the folder above the study's configuration, or above the study, if the workflow lies there. None is returned
    in a folder with a workflow of its own, or in which snakemake has run (`snakemake --directory`): it is used itself.
    """
    if not os.path.exists(study) or _runs_snakemake(Path()):
        return None
    above = _above(study)
    near = above[1:2] if _has_configuration(study.parent) else above[:2]
    folder = next(chain(filter(_runs_snakemake, near), filter(_holds_workflow, above)), None)
    return folder if folder is not None and not folder.samefile(".") else None


def is_outside(study: Path) -> bool:
    """Return whether neither the working directory nor a folder above the study has a workflow."""
    return os.path.exists(study) and not _runs_snakemake(Path()) and workflow_folder(study) is None


def _above(path: Path) -> Sequence[Path]:
    return Path(os.path.abspath(path)).parents


def _has_configuration(folder: Path) -> bool:
    return all((folder / part).is_dir() for part in PARTS)


def _runs_snakemake(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in MARKS)


def _holds_workflow(folder: Path) -> bool:
    return (folder / RULES).is_file()


def pip_install(extra: str = "") -> str:
    """Return the command that installs this package with the tested versions, and an optional part of it."""
    part = f"[{extra}]" if extra else ""
    if CHECKOUT == _SHIPPED:  # pip keeps the package that is there, and adds what it needs
        return shlex.join(["pip", "install", "-c", str(CHECKOUT / "envs/constraints.txt"), f"simformer{part}"])
    return shlex.join(["pip", "install", "-c", "envs/constraints.txt", "-e", f".{part}"])
