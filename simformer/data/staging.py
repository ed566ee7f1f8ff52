"""Builds a dataset next to its final place, and moves it there when all of it is ready.

A kill at any moment loses nothing: what is replaced is moved aside first and removed last, and the next run finds out
(`_repair`) how far the moving had come.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simformer.atomic import atomic_write_text, say
from simformer.data.layout import ALL_PIECES, FINISHED, FOLDERS, IMAGES, MADE_FROM, PIECES, TAGS, missing_pieces
from simformer.errors import UserError

OLD = "old"
"""Folder of the staging folder that holds what is being replaced."""


def real_place(destination: Path) -> Path:
    """Return where a dataset's folder really lies; what is built beside that can be renamed into it.

    Raises: UserError if a link on the way leads nowhere, or something that is no folder is there.
    """
    destination = Path(os.path.abspath(destination))
    for path in (destination, *destination.parents):
        try:
            if not path.is_dir():
                path.stat()
                raise UserError(f"{path}: not a folder, but the dataset is to be written there; move it away")
            break
        except FileNotFoundError:
            if path.is_symlink():
                target = os.path.realpath(path)
                raise UserError(
                    f"{path}: a link to {target}, which is not there; mount its disk, or make the folder: "
                    f"mkdir -p {shlex.quote(target)}"
                ) from None
        except NotADirectoryError:
            continue  # the parent is a file, and will be named
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise UserError(f"{path}: a link that leads to itself; remove it: rm {shlex.quote(str(path))}") from None
    return Path(os.path.realpath(destination))


def refuse_foreign(place: Path) -> None:
    """Raise UserError if files lie where a dataset is to be put that no preparation has left there.

    Ours is what has the note of a finished preparation, a whole layout (of an older version, without that note), and
    what a killed exchange of pieces has left.
    """
    ours = (place / FINISHED).exists() or any((staging / OLD).is_dir() for staging in _possible(place))
    if ours or not missing_pieces(place):
        return
    for folder in FOLDERS:
        found = sorted(os.listdir(place / folder)) if (place / folder).is_dir() else []
        if any(not name.startswith(".") for name in found):
            raise UserError(
                f"{place / folder}: holds {len(found)} files of no prepared dataset, such as '{found[-1]}', and "
                "would be replaced; move them away, or set `data` of the study to another folder"
            )


def refuse_nesting(place: Path, sources: Iterable[Path]) -> None:
    """Raise UserError if a dataset would be put into a folder that it is made from, or over its source.

    Args:
        place: where the dataset is to be put (`real_place`).
        sources: folders and archives that it is made from. A file beside the pieces of the dataset may stay there.
    """
    for source in sources:
        real = Path(os.path.realpath(source))
        if real.is_dir() and (place.is_relative_to(real) or real.is_relative_to(place)):
            raise UserError(
                f"{source}: source and destination {place} overlap; name another source, or another folder "
                "for the dataset: --output, or `data` of the study"
            )
        if not real.is_dir() and any(real.is_relative_to(place / folder) for folder in FOLDERS):
            raise UserError(f"{real}: the dataset's source lies in a folder that would be replaced; move it elsewhere")


@contextmanager
def staged_layout(destination: Path, fingerprint: str | None = None) -> Iterator[Path]:
    """Build a layout beside its destination; put the pieces in place only when all of it is there.

    Yields a folder with `images/` and `labels/`. Left without an error, the pieces it holds are renamed into
    `destination` and replace those of an earlier run; otherwise the destination stays as it was. Killed amid
    the renaming, a run leaves a destination without class file or lists, never a mixture that looks whole, and
    the next run brings it to its end, or back.

    The folder lies beside the destination, behind all links; inside it, if files cannot be renamed from there (the
    destination is a disk of its own, or the folder above it is not writable).

    Without a fingerprint the folder is always fresh, and is removed after any error. With one, what an
    interrupted run of the same fingerprint left is found in it again; only bad input (UserError) removes it.

    Args:
        destination: the dataset's root.
        fingerprint: a text that is equal only for runs that would write the same files.
    Raises: UserError if the destination is no place for a dataset, or cannot be written.
    """
    place = real_place(destination)
    for leftover in _possible(place):
        _repair(leftover, place)
    staging = _writable(place)
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
        _exchange(staging, place)
    except BaseException as error:
        if (fingerprint is None or isinstance(error, UserError)) and not (staging / OLD).exists():
            shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(staging, ignore_errors=True)


def _possible(place: Path) -> tuple[Path, Path]:
    """Return the two paths where a layout may be built: beside its place, and inside it."""
    return place.with_name(f".{place.name}.staging"), place / ".staging"


def _writable(place: Path) -> Path:
    """Return where to build: the first of `_possible` from which a file can be renamed into the place."""
    reasons = []
    for staging in _possible(place):
        above = next(path for path in staging.parents if path.exists())
        probe, moved = above / f".probe.{os.getpid()}", place / f".probe.{os.getpid()}"
        try:
            probe.touch()
            if place.exists():
                os.replace(probe, moved)
            return staging
        except OSError as error:
            reasons.append(f"{above}: {error.strerror}")
            if not place.exists():
                break
        finally:
            for path in (probe, moved):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
    raise UserError(
        f"{place}: no dataset can be written there ({'; '.join(reasons)}); set `data` of the study to a folder that "
        "you may write to"
    )


def _exchange(staging: Path, place: Path) -> None:
    """Move what is in the place aside, then the new pieces in; after an error everything is where it was."""
    for piece in PIECES:
        (staging / piece).stat()  # all must be there before anything is moved
    place.mkdir(parents=True, exist_ok=True)
    old = staging / OLD
    old.mkdir()
    try:
        for piece in (*MADE_FROM, *reversed(ALL_PIECES)):
            if (place / piece).is_symlink():
                target = os.path.realpath(place / piece)
                say(f"{place / piece}: this link to {target} becomes a folder; what is there stays")
            if os.path.lexists(place / piece):
                os.replace(place / piece, old / piece)
        for piece in ALL_PIECES:
            if piece in PIECES or (staging / piece).exists():
                os.replace(staging / piece, place / piece)
    except BaseException as error:
        _take_back(staging, place)
        if isinstance(error, OSError):
            raise UserError(
                f"{place}: the new pieces cannot be put in place ({error.strerror}: {error.filename}); "
                "what was there before is there again"
            ) from None
        raise


def _take_back(staging: Path, place: Path) -> None:
    """Undo an exchange, however far it has come."""
    old = staging / OLD
    begun = not (staging / IMAGES).exists()  # they move in first; before, the tags in the place are the old ones
    for piece in reversed(ALL_PIECES):
        if (piece != TAGS or begun) and not (staging / piece).exists() and (place / piece).exists():
            os.replace(place / piece, staging / piece)
    for piece in os.listdir(old):
        os.replace(old / piece, place / piece)
    old.rmdir()


def _repair(staging: Path, place: Path) -> None:
    """Bring an exchange to its end, or back, that a killed run has left: no piece moves in before all are aside."""
    if not (staging / OLD).is_dir():
        return
    if all((staging / piece).exists() for piece in PIECES):
        _take_back(staging, place)
        return
    if all((staging / piece).exists() or (place / piece).exists() for piece in PIECES):
        for piece in ALL_PIECES:
            if (staging / piece).exists():
                os.replace(staging / piece, place / piece)
    shutil.rmtree(staging / OLD)
