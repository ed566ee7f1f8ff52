"""Single files: read what a user wrote, and write so that a reader sees the old content or the whole new one."""

from __future__ import annotations

import errno
import glob
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simformer.errors import UserError

NAME_PART = 200
"""Bytes of a file's name that its temporary file repeats: most disks allow 255 in all."""

ANOTHER = "name another one"
"""What to do about a folder that cannot be written."""

OTHER_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What may be where a file is expected."""


def read_file(path: Path, what: str) -> bytes:
    """Return the content of a plain file; never waits, as opening a named pipe would.

    Args:
        path: the file.
        what: what it is, for messages: "image", "label map", "list of names".

    Raises:
        UserError: nothing is there, something else is there, or it may not be read.
    """
    other = kind_of(path)
    if other is not None:
        raise UserError(f"{path}: {what} not found" if other == "nothing" else f"{path}: {other}; expected {what}")
    try:
        return path.read_bytes()
    except PermissionError:
        raise UserError(f"{path}: permission to read denied; allow it with chmod u+r") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); copy or download it again") from error


def kind_of(path: Path) -> str | None:
    """Return in words what is at a path, links followed: None for a plain file, "nothing" if there is nothing."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if os.path.islink(path):
            return f"a link that leads nowhere (to {os.readlink(path)})"
        return "nothing" if isinstance(error, FileNotFoundError) else f"cannot be looked at ({error.strerror})"
    return None if stat.S_ISREG(mode) else OTHER_KINDS.get(stat.S_IFMT(mode), "no plain file")


def refuse_folder(path: Path) -> None:
    """Raise UserError if a folder is where a file is to be written."""
    if path.is_dir():
        raise UserError(f"{path}: a folder; expected the name of a file to write, for example {path / 'name'}")


def refuse_unwritable(folder: Path, remedy: str = ANOTHER) -> None:
    """Raise UserError if nothing can be written into a folder, or into the one in which it would be made."""
    place = _existing(folder)
    if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
        raise _unwritable(place, remedy)


@contextmanager
def writing_into(folder: Path, remedy: str = ANOTHER) -> Iterator[None]:
    """Name the folder if the system refuses to write into it: the user knows no temporary file.

    Args:
        folder: which need not be there yet.
        remedy: what to do, for the message.

    Raises:
        UserError: permission is denied, or the file system is read-only; for all else the error stays what it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise _unwritable(_existing(folder), remedy) from error
        raise


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))


def _unwritable(folder: Path, remedy: str) -> UserError:
    return UserError(f"{folder}: nothing can be written into this folder; {remedy}")


def atomic_write_bytes(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a file so that a reader sees the old content or all of the new one, never a part.

    Args:
        path: the file; missing folders above it are made.
        data: its new content.
        durable: wait until the disk has it, so that it also survives a power cut.
    Raises: UserError if a folder has that name, or its folder cannot be written; OSError with the name of the file, if
        the disk refuses it.
    """
    with _named(path):
        with writing_into(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            refuse_folder(path)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give an error of the system the name of a file, since the user does not know the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
        raise


def remove_leftovers(path: Path) -> None:
    """Remove what killed writers of a file have left beside it; nobody else may be writing it at this time."""
    for part in path.parent.glob(f"{glob.escape(_prefix(path))}*.part"):
        part.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    """Return how the temporary names of a file begin."""
    return f".{os.fsdecode(os.fsencode(path.name)[:NAME_PART])}."


def atomic_write_text(path: Path, data: str, durable: bool = True) -> None:
    """Write a text file in UTF-8 with `atomic_write_bytes`."""
    atomic_write_bytes(path, data.encode("utf-8"), durable)


def umask() -> int:
    """Return the process's file mode mask (reading it needs a write)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def say(line: str) -> None:
    """Tell the user, or the job's log, what is going on."""
    print(line, file=sys.stderr, flush=True)
