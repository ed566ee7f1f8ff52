"""Zip and tar archives with any members, good and bad."""

import io
import tarfile
import zipfile

from tests.faults.harness import prepare_arguments


def arguments(path, kind="folder"):
    """Return the command that prepares an archive into `out` beside it."""
    option = {"kind": kind} | ({"path": str(path)} if kind == "folder" else {"archive": {"path": str(path)}})
    return prepare_arguments(option, path.parent / "out")


def zipped(path, members, change=lambda info: None, compression=zipfile.ZIP_DEFLATED):
    """Write a zip of (name, content) pairs; `change` is given each member's entry before it is written."""
    with zipfile.ZipFile(path, "w") as pack:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, compression  # ZipInfo would put it right
            change(info)
            pack.writestr(info, content)
    return path


def tarred(path, members, mode="w"):
    """Write a tar of (name, content) pairs, or of entries without content."""
    with tarfile.open(path, mode) as pack:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = info.size or len(content)
            pack.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, **fields):
    """Return a tar entry that is no plain file."""
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info
