"""Any dataset: imports a folder, tar or zip that is already in the prepared layout (docs/custom_data.md)."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from simformer.data.layout import EXPECTED, FOLDERS, PIECES, SUFFIXES, missing_pieces, staged_layout
from simformer.errors import UserError

BROKEN_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)
"""What reading a damaged, encrypted or truncated archive raises."""


def import_folder(source: Path, destination: Path) -> None:
    """Bring a dataset in the prepared layout to its place; files are hard-linked where possible, else copied.

    Args:
        source: a folder, or a tar (plain or compressed) or zip archive, that holds the layout at its top or
            inside one top folder.
        destination: the dataset's root; an earlier import is replaced once the new one is complete.

    Raises:
        UserError: the source is missing, is neither folder nor archive, lacks a part of the layout, is
            damaged, or holds an unsafe member (absolute path, `..`, link, device).
    """
    if not source.exists():
        raise UserError(f"{source}: dataset source not found; expected a folder, tar or zip with {EXPECTED}")
    with staged_layout(destination) as staging:
        folder = source
        if not source.is_dir():
            folder = staging / "unpacked"
            _unpack(source, folder)
        root = _find_root(folder, source)
        if root.resolve() == destination.resolve():
            raise UserError(f"{source}: source and destination are the same folder; name another source")
        for piece in PIECES:
            if piece in FOLDERS:
                for path in sorted((root / piece).iterdir()):
                    if path.suffix in SUFFIXES and path.is_file() and not path.name.startswith("."):
                        _link(path, staging / piece / path.name)
            else:
                _link(root / piece, staging / piece)


def _find_root(folder: Path, source: Path) -> Path:
    """Return the folder itself or its only subfolder that holds the whole layout."""
    if not missing_pieces(folder):
        return folder
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir())
    complete = [path for path in subfolders if not missing_pieces(path)]
    if len(complete) == 1:
        return complete[0]
    if complete:
        names = ", ".join(path.name for path in complete)
        raise UserError(f"{source}: several datasets found ({names}); name one of them as the source")
    nearest = min([folder, *subfolders], key=lambda path: len(missing_pieces(path)))
    inside = "" if nearest == folder else f" (in its folder {nearest.name}/)"
    raise UserError(
        f"{source}: missing {', '.join(missing_pieces(nearest))}{inside}; expected {EXPECTED} at the top "
        "or inside one top folder"
    )


def _link(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it where links cannot be made (another device, no permission)."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _unpack(archive: Path, folder: Path) -> None:
    """Extract a tar or zip archive into a new folder after every member has been found safe."""
    folder.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as pack:
                _refuse_unsafe(archive, ((info.filename, _zip_kind_is_plain(info)) for info in pack.infolist()))
                pack.extractall(folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as pack:
                _refuse_unsafe(archive, ((info.name, info.isreg() or info.isdir()) for info in pack))
                pack.extractall(folder, filter="data")
        else:
            raise UserError(f"{archive}: neither a folder, a tar nor a zip archive; expected one with {EXPECTED}")
    except BROKEN_ARCHIVE as error:
        raise UserError(
            f"{archive}: archive cannot be unpacked ({type(error).__name__}: {error}); "
            "check the disk space, or download it again"
        ) from error


def _refuse_unsafe(archive: Path, members: Iterable[tuple[str, bool]]) -> None:
    """Raise UserError at the first member (name, is a plain file or folder) that could write elsewhere."""
    for name, plain in members:
        windows = PureWindowsPath(name)
        if not plain:
            raise UserError(f"{archive}: member '{name}' is a link or device; expected plain files and folders only")
        if PurePosixPath(name).is_absolute() or windows.root or windows.drive or ".." in windows.parts:
            raise UserError(f"{archive}: member '{name}' would be written outside its folder; refused to unpack")


def _zip_kind_is_plain(info: zipfile.ZipInfo) -> bool:
    """Return whether a zip member is a regular file or folder; archives made on Windows store no kind."""
    return stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
