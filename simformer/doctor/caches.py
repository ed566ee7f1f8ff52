"""Checks of the folders that Snakemake, matplotlib and Python write to by themselves."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from simformer.doctor.check import Check

WRITABLE = "/a/folder/that/you/may/write/to"


def check_caches() -> Iterator[Check]:
    """Check that caches and temporary files can be written: HOME often cannot, on clusters and in containers."""
    traceback = "Snakemake would end with a traceback"
    home = Path(os.path.expanduser("~"))
    caches = os.environ.get("XDG_CACHE_HOME") or home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    yield _cache("snakemake", Path(caches, "snakemake"), "problem", traceback, "XDG_CACHE_HOME")
    fonts = "every job that draws would build its list of fonts again"
    own = os.environ.get("MPLCONFIGDIR") or Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "matplotlib")
    yield _cache("matplotlib", Path(own), "warning", fonts, "MPLCONFIGDIR")
    yield _temporary()


def _cache(name: str, folder: Path, level: Literal["warning", "problem"], otherwise: str, variable: str) -> Check:
    """Check a cache, which a variable moves; if it cannot be written, `level` and `otherwise` tell how bad that is."""
    if reason := _unwritable(folder):
        return Check(f"{name} cache", level, f"{reason}: {folder}; {otherwise}", f"export {variable}={WRITABLE}")
    return Check(f"{name} cache", "ok", f"can be written: {folder}")


def _temporary() -> Check:
    """Python takes the first of TMPDIR, /tmp and others that it can write to."""
    wanted = os.environ.get("TMPDIR")
    if wanted and (reason := _unwritable(Path(wanted), create=False)):
        return Check("temporary files", "problem", f"TMPDIR={wanted}: {reason}", f"export TMPDIR={WRITABLE}")
    try:
        return Check("temporary files", "ok", f"can be written: {tempfile.gettempdir()}")
    except FileNotFoundError:
        return Check("temporary files", "problem", "no folder for them can be written", f"export TMPDIR={WRITABLE}")


def _unwritable(folder: Path, create: bool = True) -> str:
    """Tell why files cannot be made in a folder, which is made first if it is not there; '' if they can."""
    place = folder
    while create and not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            return ""
    except OSError as error:
        return f"{'cannot be made' if place != folder else 'cannot be written'} ({error.strerror})"
