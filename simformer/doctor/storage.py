"""Checks of the disks that results and data go to."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from simformer.doctor.check import Check
from simformer.machine.terminal import gigabytes
from simformer.study.catalogue import Catalogue
from simformer.study.cost import data_bytes, result_bytes
from simformer.study.plan import Plan

SPARE = 1.2
"""Free space over what is needed below which to warn: the estimates are rough."""


def check_storage(catalogue: Catalogue, plan: Plan) -> Iterator[Check]:
    """Check free space against the plan, and that files can be written, renamed and locked."""
    study = catalogue.study
    cells = [training.cell for training in plan.missing]
    unprepared = {d for d, *_ in cells if not Path(study.data, d, "index.json").exists()}
    needs = {
        "results": (Path(study.results), result_bytes(catalogue, cells)),
        "data": (Path(study.data), data_bytes(catalogue, unprepared)),
    }
    together = _device(needs["results"][0]) == _device(needs["data"][0])
    for name, (folder, own) in needs.items():
        need = sum(size for _, size in needs.values()) if together else own
        yield _space(name, folder, need, " with " + next(n for n in needs if n != name) if together else "")
        yield _files(name, folder)


def _space(name: str, folder: Path, need: float, whose: str) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    found = f"{folder}: {free / 1e9:.1f} GB free (quotas not seen), {gigabytes(need)} needed{whose}"
    fix = f"free some space, or another place: `{name}:` in the study"
    if free < need:
        return Check(f"{name} disk", "problem", found, fix)
    return Check(f"{name} disk", "warning", found, fix) if free < SPARE * need else Check(f"{name} disk", "ok", found)


def _files(name: str, folder: Path) -> Check:
    """Write, rename over another file, and lock, in a folder of its own that is removed again."""
    place, doing = _existing(folder), "write"
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".doctor.") as own:
            old, new = Path(own, "old"), Path(own, "new")
            old.write_text("old")
            new.write_text("new")
            doing = "rename onto another file"
            os.replace(new, old)
            if old.read_text() != "new":
                raise OSError("the old content came back")
            doing = "lock a file"
            with old.open("r+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        reason = error.strerror or str(error)
        fix = f"a folder that you may write to, on a disk with locks: `{name}:` in the study, or a link at {folder}"
        return Check(f"{name} files", "problem", f"{place.resolve()}: cannot {doing} ({reason})", fix)
    return Check(f"{name} files", "ok", f"{place.resolve()}: writing, renaming and locking work")


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def _device(folder: Path) -> int:
    return _existing(folder).stat().st_dev
