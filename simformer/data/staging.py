"""Building a dataset beside its place, and putting it there when all of it is ready."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simformer.data.files import atomic_write_text
from simformer.data.layout import FOLDERS, PIECES
from simformer.errors import UserError


@contextmanager
def staged_layout(destination: Path, fingerprint: str | None = None) -> Iterator[Path]:
    """Build a layout beside its destination; put the pieces in place only when all of it is there.

    Yields a sibling folder with `images/` and `labels/`. Left without an error, the pieces it holds are renamed
    into `destination` and replace those of an earlier run; otherwise the destination stays as it was. Killed amid
    the renaming, a run leaves a destination without class file or lists, never a mixture that looks whole.

    Without a fingerprint the folder is always fresh, and is removed after any error. With one, what an
    interrupted run of the same fingerprint left is found in it again; only bad input (UserError) removes it.

    Args:
        destination: the dataset's root.
        fingerprint: a text that is equal only for runs that would write the same files.
    """
    destination = Path(os.path.abspath(destination))
    staging = destination.with_name(f".{destination.name}.staging")
    mark = staging / "fingerprint"
    if staging.exists() and not (mark.is_file() and mark.read_text(encoding="utf-8") == fingerprint):
        shutil.rmtree(staging)
    for folder in FOLDERS:
        (staging / folder).mkdir(parents=True, exist_ok=True)
        for part in (staging / folder).glob(".*.part"):
            part.unlink()
    if fingerprint is not None:
        atomic_write_text(mark, fingerprint)
    try:
        yield staging
        destination.mkdir(parents=True, exist_ok=True)
        for piece in PIECES[len(FOLDERS) :]:
            (destination / piece).unlink(missing_ok=True)
        for piece in PIECES:
            _move(staging / piece, destination / piece)
    except BaseException as error:
        if fingerprint is None or isinstance(error, UserError):
            shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(staging, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    """Rename a file or folder onto a target that may exist."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    os.replace(source, target)
