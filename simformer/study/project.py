"""The folder in which studies are run: the workflow, its profiles and the configuration, as in a checkout."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from pathlib import Path

from simformer.config.paths import CHECKOUT
from simformer.errors import UserError

COPIED = ("Snakefile", "workflow", "config")
LINKS = {"profiles": "workflow/profiles", "slurm": "workflow/profiles/slurm"}
"""Names under which `snakemake` looks for profiles, and what they lead to."""


def write_project(folder: Path) -> None:
    """Write the workflow and the configuration into a folder, which is made if it is not there.

    Raises:
        UserError: the folder holds one of the names already; then nothing is written.
    """
    names = (*COPIED, *LINKS)
    if taken := [name for name in names if os.path.lexists(folder / name)]:
        raise UserError(
            f"{folder / taken[0]}: already there, so nothing was written; name a new folder: "
            f"simformer init {shlex.quote(str(folder / 'study'))}"
        )
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(f"{folder}: expected a folder, or the name of a new one; found a file")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        made = Path(temporary)
        for name in COPIED:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, made / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, made / name)
        for name, target in LINKS.items():
            (made / name).symlink_to(target)
        for name in names:  # nothing is there until all could be written
            (made / name).rename(folder / name)
