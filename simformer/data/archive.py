"""Read-only trees of files: a folder, or a zip or tar archive, whose members are checked before any is read.

Datasets are prepared straight from their archives: nothing is unpacked to disk that is not part of the result.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from simformer.data.files import atomic_write_bytes
from simformer.errors import UserError

BROKEN_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)
"""What reading a damaged, encrypted or truncated archive raises."""
LARGEST_RATIO, LARGEST_SLACK = 200, 2**30
"""A zip may claim to expand to this many times its size, plus these bytes; more is taken for a zip bomb."""


class FolderTree:
    """The files below a folder, or a single file; links inside are followed, since the user put them there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path if path.is_dir() else path.parent

    def names(self) -> list[str]:
        """Return the paths of all files relative to the top, with forward slashes, sorted."""
        if not self.path.is_dir():
            return [self.path.name]
        found = (Path(folder, name) for folder, _, names in os.walk(self.path, followlinks=True) for name in names)
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def read(self, name: str) -> bytes:
        """Return the content of a file; OSError if that fails."""
        return (self.root / name).read_bytes()

    def place(self, name: str, target: Path) -> None:
        """Put a file at a path on this machine: a hard link where possible, else a copy."""
        link(self.root / name, target)


class ZipTree:
    """The members of a zip archive. Sent to another process, it is opened there anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self.pack = zipfile.ZipFile(path)
            infos = self.pack.infolist()
        refuse_unsafe(path, ((info.filename, _is_plain(info)) for info in infos))
        refuse_bomb(path, sum(info.file_size for info in infos))

    def __reduce__(self) -> tuple[type[ZipTree], tuple[Path]]:
        return ZipTree, (self.path,)

    def names(self) -> list[str]:
        """Return the names of all members that are files, sorted."""
        return sorted(info.filename for info in self.pack.infolist() if not info.is_dir())

    def read(self, name: str) -> bytes:
        """Return the content of a member; one of BROKEN_ARCHIVE if that fails."""
        return self.pack.read(name)

    def place(self, name: str, target: Path) -> None:
        """Write a member to a path on this machine, atomically."""
        atomic_write_bytes(target, self.read(name))


Tree = FolderTree | ZipTree


def open_tree(path: Path) -> Tree:
    """Open a folder, a zip archive, or a single file that is neither.

    Raises:
        UserError: nothing is there, or it is a damaged zip, a tar, an unsafe archive or a web page.
    """
    if not path.exists():
        raise UserError(f"{path}: not found; expected an archive or a folder with its content")
    if path.is_dir():
        return FolderTree(path)
    if zipfile.is_zipfile(path):
        return ZipTree(path)
    if path.suffix == ".zip":
        raise UserError(f"{path}: damaged or incomplete, not a zip archive; remove it and download it again")
    if tarfile.is_tarfile(path):
        raise UserError(f"{path}: a tar archive; unpack it and name the folder, or pack it as zip")
    return FolderTree(path)


def unpack(archive: Path, folder: Path) -> None:
    """Extract a tar or zip archive into a new folder after every member has been found safe.

    Raises:
        UserError: it is neither, is damaged, claims to expand beyond reason, or holds an unsafe member
            (absolute path, `..`, link, device).
    """
    folder.mkdir()
    with reading(archive):
        if zipfile.is_zipfile(archive):
            ZipTree(archive).pack.extractall(folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as pack:
                members = pack.getmembers()
                refuse_unsafe(archive, ((info.name, info.isreg() or info.isdir()) for info in members))
                refuse_bomb(archive, sum(info.size for info in members))
                pack.extractall(folder, filter="data")
        else:
            raise UserError(f"{archive}: neither a folder, a tar nor a zip archive")


def link(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it where links cannot be made (another device, no permission)."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def reading(archive: Path) -> Iterator[None]:
    """Turn what a damaged archive raises into a UserError that names it."""
    try:
        yield
    except BROKEN_ARCHIVE as error:
        raise UserError(
            f"{archive}: archive cannot be read ({type(error).__name__}: {error}); "
            "check the disk space, or download it again"
        ) from error


def refuse_unsafe(archive: Path, members: Iterable[tuple[str, bool]]) -> None:
    """Raise UserError at the first member (name, is a plain file or folder) that could write elsewhere."""
    for name, plain in members:
        windows = PureWindowsPath(name)
        if not plain:
            raise UserError(f"{archive}: member '{name}' is a link or device; expected plain files and folders only")
        if PurePosixPath(name).is_absolute() or windows.root or windows.drive or ".." in windows.parts:
            raise UserError(f"{archive}: member '{name}' would be written outside its folder; refused to unpack")


def refuse_bomb(archive: Path, expanded: int) -> None:
    """Raise UserError if an archive's members claim to be larger than any honest dataset would compress to."""
    size = archive.stat().st_size
    if expanded > LARGEST_RATIO * size + LARGEST_SLACK:
        raise UserError(
            f"{archive}: its {size:,} bytes claim to expand to {expanded:,}; refused as a zip bomb. "
            "Unpack it yourself and name the folder if you trust it"
        )


def _is_plain(info: zipfile.ZipInfo) -> bool:
    """Return whether a zip member is a regular file or folder; archives made on Windows store no kind."""
    return stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
