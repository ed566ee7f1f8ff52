"""Read-only trees of files: a folder, or a zip or tar archive, whose members are checked before any is read.

Datasets are prepared straight from their archives: nothing is unpacked to disk that is not part of the result.
"""

from __future__ import annotations

import hashlib
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
        self._names: list[str] | None = None

    def __reduce__(self) -> tuple[type[FolderTree], tuple[Path]]:
        return FolderTree, (self.path,)

    def names(self) -> list[str]:
        """Return the paths of all files relative to the top, with forward slashes, sorted; found once."""
        if self._names is None:
            found = (Path(folder, name) for folder, _, names in os.walk(self.path, followlinks=True) for name in names)
            self._names = sorted(path.relative_to(self.root).as_posix() for path in found)
        return self._names if self.path.is_dir() else [self.path.name]

    def where(self, name: str) -> str:
        """Return what messages call a file."""
        return str(self.root / name)

    def fingerprint(self) -> str:
        """Return a text that changes with the set of files, and with the size or time of change of any."""
        files = ((name, (self.root / name).stat()) for name in self.names())
        return _digest(f"{name} {info.st_size} {info.st_mtime_ns}" for name, info in files)

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

    def where(self, name: str) -> str:
        """Return what messages call a member."""
        return f"{self.path}/{name}"

    def fingerprint(self) -> str:
        """Return a text that changes with the content of the archive, wherever it lies."""
        return _digest(f"{info.filename} {info.file_size} {info.CRC}" for info in self.pack.infolist())

    def read(self, name: str) -> bytes:
        """Return the content of a member; one of BROKEN_ARCHIVE if that fails."""
        return self.pack.read(name)

    def place(self, name: str, target: Path) -> None:
        """Write a member to a path on this machine, atomically but without waiting for the disk."""
        atomic_write_bytes(target, self.read(name), durable=False)


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


def files_in(tree: Tree, folder: str, suffix: str) -> dict[str, str]:
    """Index the files of a folder by stem, whatever folders stand above it.

    Hidden files are passed over, and so are those that macOS adds to archives.

    Args:
        tree: where to look.
        folder: last parts of the folder's path, e.g. `images/training`; empty for any folder.
        suffix: extension with its dot, in upper or lower case.

    Returns: name in the tree by stem.

    Raises:
        UserError: two files have the same stem.
    """
    found: dict[str, str] = {}
    for name in tree.names():
        above, _, file = f"/{name}".rpartition("/")
        if not file.lower().endswith(suffix) or not f"{above}/".endswith(f"/{folder}/" if folder else "/"):
            continue
        if any(part.startswith((".", "__MACOSX")) for part in name.split("/")):
            continue
        stem = file[: -len(suffix)]
        if stem in found:
            raise UserError(
                f"{tree.where(found[stem])} and {tree.where(name)}: two files of one name; name an archive or folder "
                "that holds one of them"
            )
        found[stem] = name
    return found


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
                # Python before 3.11.4 has no filters; every member has been found safe above.
                pack.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
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


def _digest(lines: Iterable[str]) -> str:
    """Return the SHA-256 of lines, hexadecimal."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _is_plain(info: zipfile.ZipInfo) -> bool:
    """Return whether a zip member is a regular file or folder; archives made on Windows store no kind."""
    return stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
