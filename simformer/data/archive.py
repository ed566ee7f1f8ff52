"""Read-only trees of files: a folder, or a zip or tar archive, whose members are checked before any is read.

Datasets are prepared straight from their archives: nothing is unpacked to disk that is not part of the result.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simformer.atomic import atomic_write_bytes
from simformer.data.archive_checks import (
    UNPACK,
    Entry,
    checked,
    head_of,
    is_zip,
    plain_name,
    refuse_broken_zip,
    refuse_cut_tar,
    refuse_unreadable,
    tar_entry,
    zip_entry,
)
from simformer.data.signatures import describe_content
from simformer.errors import UserError

BROKEN_ARCHIVE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError,
    ValueError,
)  # fmt: skip
"""What reading a damaged or truncated archive raises."""


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
        if self.root != self.path:
            return [self.path.name]
        if self._names is None:
            found = (Path(folder, name) for folder, names in self._folders() for name in names)
            self._names = sorted(path.relative_to(self.root).as_posix() for path in found)
        return self._names

    def _folders(self) -> Iterator[tuple[str, list[str]]]:
        """Yield every folder with the names of its files; UserError if one cannot be listed or leads to itself."""

        def refuse(error: OSError) -> None:
            raise UserError(f"{error.filename}: folder cannot be listed ({error.strerror}); change its permissions")

        for folder, below, names in os.walk(self.path, onerror=refuse, followlinks=True):
            for link_ in (path for name in below if (path := Path(folder, name)).is_symlink()):
                if Path(folder).resolve().is_relative_to(link_.resolve()):
                    raise UserError(f"{link_}: a link to a folder above it, which has no end; remove it")
            yield folder, names

    def where(self, name: str) -> str:
        """Return what messages call a file."""
        return str(self.root / name)

    def fingerprint(self) -> str:
        """Return a text that changes with the set of files, and with the size or time of change of any."""
        files = ((name, self._info(name)) for name in self.names())
        return _digest(f"{name} {info.st_size} {info.st_mtime_ns}" for name, info in files)

    def read(self, name: str) -> bytes:
        """Return the content of a file; OSError if that fails, UserError for a pipe, which is not waited for."""
        if not stat.S_ISREG(self._info(name).st_mode):
            raise UserError(f"{self.where(name)}: a pipe, socket or device; expected a file")
        return (self.root / name).read_bytes()

    def open(self, name: str) -> io.BufferedReader:
        """Open a file for reading, bytes; OSError or UserError as `read`."""
        self._info(name)
        return (self.root / name).open("rb")

    def _info(self, name: str) -> os.stat_result:
        try:
            return (self.root / name).stat()
        except OSError as error:
            raise UserError(f"{self.where(name)}: cannot be read ({error.strerror}); repair or remove it") from error

    def place(self, name: str, target: Path) -> None:
        """Put a file at a path on this machine: a hard link where possible, else a copy."""
        link(self.root / name, target)


class ZipTree:
    """The members of a zip archive. Sent to another process, it is opened there anew.

    Raises:
        UserError: it is damaged, a part of an archive, encrypted, or has a member that `archive_checks` refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        refuse_broken_zip(path)
        with reading(path):
            self.pack = zipfile.ZipFile(path)
            infos = self.pack.infolist()
        refuse_unreadable(path, infos)
        entries = checked(path, map(zip_entry, infos))
        self._members = {entry.name: info for entry, info in zip(entries, infos, strict=True) if entry.kind == "file"}
        self._folders = [entry.name for entry in entries if entry.kind == "folder"]

    def __reduce__(self) -> tuple[type[ZipTree], tuple[Path]]:
        return ZipTree, (self.path,)

    def names(self) -> list[str]:
        """Return the names of all members that are files, sorted."""
        return sorted(self._members)

    def where(self, name: str) -> str:
        """Return what messages call a member."""
        return f"{self.path}/{name}"

    def fingerprint(self) -> str:
        """Return a text that changes with the content of the archive, wherever it lies."""
        return _digest(f"{info.filename} {info.file_size} {info.CRC}" for info in self.pack.infolist())

    def read(self, name: str) -> bytes:
        """Return the content of a member; one of BROKEN_ARCHIVE if that fails."""
        return self.pack.read(self._members[name])

    def open(self, name: str) -> io.BufferedReader:
        """Open a member for reading, bytes; one of BROKEN_ARCHIVE if that fails."""
        member = self.pack.open(self._members[name])
        assert isinstance(member, zipfile.ZipExtFile), "what zipfile opens for reading"
        return io.BufferedReader(member)

    def place(self, name: str, target: Path) -> None:
        """Write a member to a path on this machine, atomically but without waiting for the disk."""
        atomic_write_bytes(target, self.read(name), durable=False)

    def unpack(self, folder: Path) -> None:
        """Write all members below a folder."""
        for name in self._folders:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, info in self._members.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with self.pack.open(info) as source, (folder / name).open("xb") as target:
                shutil.copyfileobj(source, target)


Tree = FolderTree | ZipTree


def open_tree(path: Path) -> Tree:
    """Open a folder, a zip archive, or a single file that is neither.

    Raises:
        UserError: nothing is there, or it is a damaged zip, a tar, an unsafe archive, a web page or a pipe.
    """
    if path.is_dir():
        return FolderTree(path)
    head = head_of(path)
    if is_zip(path, head):
        return ZipTree(path)
    with reading(path):
        kind = "a tar archive" if tarfile.is_tarfile(path) else describe_content(head)
    if path.suffix.lower() == ".zip":
        found = f"{kind}, " if kind else "damaged or incomplete, "
        raise UserError(f"{path}: {found}not a zip archive; remove it and download it again")
    if kind:
        raise UserError(f"{path}: {kind}; {UNPACK}, or pack it as zip")
    return FolderTree(path)


def is_hidden(name: str) -> bool:
    """Tell whether a file of a tree is hidden, or one that macOS adds to archives."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def files_in(tree: Tree, folder: str, suffix: str) -> dict[str, str]:
    """Index the files of a folder by stem, whatever folders are above it.

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
        if is_hidden(name):
            continue
        stem = file[: -len(suffix)]
        if stem in found:
            raise UserError(
                f"{tree.where(found[stem])} and {tree.where(name)}: two files have one name; name an archive or folder "
                "that holds one of them"
            )
        found[stem] = name
    return found


def unpack(archive: Path, folder: Path) -> None:
    """Extract a tar or zip archive into a new folder after every member has been found safe.

    Raises:
        UserError: it is neither, is damaged, claims to expand beyond reason, or holds a member that
            `archive_checks` refuses: unsafe (absolute path, `..`, link, device), or one that another would replace.
    """
    head = head_of(archive)
    folder.mkdir()
    with reading(archive):
        if is_zip(archive, head):
            ZipTree(archive).unpack(folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as pack:
                _unpack_tar(archive, pack, folder)
        else:
            kind = describe_content(head)
            raise UserError(f"{archive}: neither a folder, a tar nor a zip archive{f', but {kind}' if kind else ''}")


def _unpack_tar(archive: Path, pack: tarfile.TarFile, folder: Path) -> None:
    members: list[tarfile.TarInfo] = []

    def entries() -> Iterator[Entry]:
        for info in pack:
            members.append(info)
            yield tar_entry(info)

    checked(archive, entries())
    assert pack.fileobj is not None, "the archive is open"
    refuse_cut_tar(archive, pack.fileobj, pack.offset)
    for info in members:
        info.name = plain_name(info.name)
    # Python before 3.11.4 has no filters; every member has been found safe above.
    if hasattr(tarfile, "data_filter"):
        pack.extractall(folder, members, filter="data")
    else:
        pack.extractall(folder, members)  # noqa: S202


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


def _digest(lines: Iterable[str]) -> str:
    """Return the SHA-256 of lines, hexadecimal."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
