"""What is looked at before anything of an archive is read: its kind, and every member's name, type and size."""

from __future__ import annotations

import re
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from simformer.data.signatures import HEAD, describe_content
from simformer.errors import UserError

LARGEST_RATIO, LARGEST_SLACK = 200, 2**30
"""An archive may claim to expand to this many times its size, plus these bytes; more is taken for a zip bomb."""

MOST_MEMBERS = 5_000_000
"""Files and folders of an archive; the largest of the published ones have a few hundred thousand."""

LONGEST_NAME = 255
"""Bytes that usual file systems allow for the name of a file or folder."""

COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
ENCRYPTED = 1
"""Bit of a zip member's flags."""

END_RECORD, LONGEST_COMMENT = b"PK\x05\x06", 2**16
"""What is at the end of a zip archive, before a comment."""

OUTSIDE = re.compile(r"/|[A-Za-z]:")
"""How a name begins that does not stay in its folder: as an absolute one, or with a drive of Windows."""

BLOCK = 512
"""Bytes of a tar's header; blocks of zeros end it."""

UNPACK = "unpack it and name the folder"


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as its archive's directory describes it.

    Attributes:
        name: with forward slashes, as on every system but Windows; a folder's without one at its end.
        kind: 'file', 'folder' or anything else, such as a link.
        size: bytes that it expands to.
    """

    name: str
    kind: str
    size: int


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file.

    Raises:
        UserError: nothing is there, it may not be read, or it is neither file nor folder; a pipe is not waited for.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path}: a pipe, socket or device; expected an archive or a folder")
        with path.open("rb") as file:
            return file.read(HEAD)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; expected an archive or a folder with its content") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); correct that or name another file") from error


def is_zip(path: Path, head: bytes) -> bool:
    """Return whether a file is a zip archive or a part of one, and not another kind of file that holds one."""
    return head.startswith(b"PK") or (describe_content(head) is None and zipfile.is_zipfile(path))


def refuse_broken_zip(path: Path) -> None:
    """Raise UserError if the end of a zip archive is missing, or is that of a part of one."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LONGEST_COMMENT - 22))
        tail = file.read()
    place = tail.rfind(END_RECORD)
    if place < 0 or place + 8 > len(tail):
        raise UserError(
            f"{path}: damaged or incomplete, or one part of several (join them), not a zip archive; remove it and "
            "download it again"
        )
    disk, first = struct.unpack("<HH", tail[place + 4 : place + 8])
    if {disk, first} - {0, 0xFFFF}:
        raise UserError(f"{path}: one part of a zip archive in several; join them (zip -s 0 IN.zip --out OUT.zip)")


def zip_entry(info: zipfile.ZipInfo) -> Entry:
    """Describe a zip member; archives made on Windows store no kind, and some of them backslashes."""
    name = plain_name(info.filename)
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Entry(name, "link or device", info.file_size)
    return Entry(name.rstrip("/") or name, "folder" if name.endswith("/") else "file", info.file_size)


def tar_entry(info: tarfile.TarInfo) -> Entry:
    """Describe a tar member."""
    kind = "file" if info.isreg() else "folder" if info.isdir() else "link or device"
    return Entry(plain_name(info.name), kind, info.size)


def plain_name(name: str) -> str:
    """Return a member's name with forward slashes, which the format asks for and some programs on Windows forget."""
    return name.replace("\\", "/")


def refuse_unreadable(path: Path, infos: Iterable[zipfile.ZipInfo]) -> None:
    """Raise UserError at the first zip member that needs a password or an unknown method."""
    for info in infos:
        if info.flag_bits & ENCRYPTED:
            raise UserError(f"{path}: member {info.filename!r} is encrypted; {UNPACK}")
        if info.compress_type not in COMPRESSIONS:
            raise UserError(
                f"{path}: member {info.filename!r} is packed by method {info.compress_type}, which cannot be "
                f"read here; pack it again by the usual method (deflate), or {UNPACK}"
            )


def checked(path: Path, entries: Iterable[Entry]) -> list[Entry]:
    """Return the members of an archive, found one by one.

    Raises:
        UserError: at the first that could write elsewhere, is a link, has a name that another has or that no file can
            have, or makes the archive larger than any honest data would compress to; or there is no file at all.
    """
    size, total = path.stat().st_size, 0
    found: list[Entry] = []
    names: dict[str, Entry] = {}
    for entry in entries:
        _refuse_place(path, entry)
        _refuse_clash(path, entry, names)
        found.append(entry)
        total += entry.size
        if total > LARGEST_RATIO * size + LARGEST_SLACK:
            raise UserError(
                f"{path}: its {size:,} bytes claim to expand to {total:,}; refused as a zip bomb. "
                f"{UNPACK.capitalize()} if you trust it"
            )
        if len(found) > MOST_MEMBERS:
            raise UserError(f"{path}: more than {MOST_MEMBERS:,} members; refused as a zip bomb. {UNPACK.capitalize()}")
    if not any(entry.kind == "file" for entry in found):
        raise UserError(f"{path}: holds no files ({len(found)} members); pack it again or name another archive")
    _refuse_both(path, names)
    return found


def _refuse_place(path: Path, entry: Entry) -> None:
    name = entry.name
    if entry.kind not in ("file", "folder"):
        raise UserError(f"{path}: member {name!r} is a link or device; expected plain files and folders only")
    parts = name.split("/")
    if OUTSIDE.match(name) or ".." in parts:
        raise UserError(f"{path}: member {name!r} would be written outside its folder; refused to unpack")
    longest = len(name) if name.isascii() else len(name.encode(errors="surrogateescape"))
    if longest > LONGEST_NAME:  # of all its parts together; most names end here
        longest = max(len(part.encode(errors="surrogateescape")) for part in parts)
    if longest > LONGEST_NAME or "\0" in name:
        raise UserError(
            f"{path}: member {name[:40]!r}... has a name that no file can have, of {len(name)} characters; at most "
            f"{LONGEST_NAME} bytes for a file or folder: rename it and pack it again"
        )


def _refuse_clash(path: Path, entry: Entry, names: dict[str, Entry]) -> None:
    """Take note of a name; raise UserError if another file has it, on any usual file system."""
    name = entry.name.removeprefix("./")
    key = (name if name.isascii() else unicodedata.normalize("NFC", name)).lower()
    other = names.setdefault(key, entry)
    if other is entry or other.kind == entry.kind == "folder":
        return
    if other.kind != entry.kind:
        raise UserError(f"{path}: member {entry.name!r} is both a file and a folder; rename one and pack it again")
    if other.name.removeprefix("./") == name:
        raise UserError(f"{path}: member {entry.name!r} is in it twice; pack it again with each file once")
    raise UserError(
        f"{path}: members {other.name!r} and {entry.name!r} differ only in case or in the form of accents, so one "
        "would replace the other on some disks; rename one and pack it again"
    )


def _refuse_both(path: Path, names: dict[str, Entry]) -> None:
    """Raise UserError if a file's name is also that of a folder above another member."""
    seen: set[str] = set()
    for name in names:
        above = name.rpartition("/")[0]
        while above and above not in seen:
            if above in names and names[above].kind == "file":
                raise UserError(
                    f"{path}: member {names[above].name!r} is both a file and a folder; rename one and pack it again"
                )
            seen.add(above)
            above = above.rpartition("/")[0]


class Seekable(Protocol):
    """A stream of bytes in which one can go to a place."""

    def seek(self, offset: int, /) -> object:
        """Go to a place."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or fewer at the end."""


def refuse_cut_tar(path: Path, stream: Seekable, end: int) -> None:
    """Raise UserError unless a tar ends as it should: a damaged header in its middle looks like the end.

    Args:
        path: the archive.
        stream: its content, uncompressed.
        end: where the last member ends.
    """
    stream.seek(end)
    found = stream.read(BLOCK)
    if len(found) < BLOCK or found.strip(b"\0"):
        raise UserError(
            f"{path}: damaged or incomplete, the tar breaks off after {end:,} bytes; remove it and download it again"
        )
