"""Downloads of published archives: the first address that gives the right file, checked before it takes its place.

Beside a download `<name>` may lie `<name>.part` and `<name>.part.json` (see `simformer.data.download`), and
`<name>.sha256`: what the first download was like, where no checksum is published. None of them is declared to
Snakemake, which deletes declared files when a job fails.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from simformer.atomic import atomic_write_text, say
from simformer.config.sources import Archive
from simformer.data.download import HEAD, PAGE, Retry, Unavailable, download
from simformer.data.part import Part
from simformer.data.signatures import is_web_page
from simformer.errors import UserError

PATIENT = Retry()
BRING_IT = (
    "run the same command again later, or bring the file yourself: put it there, or give this archive "
    "`path: /path/to/your/copy` beside its `urls` in config/datasets/"
)


def fetch(archive: Archive, destination: Path, retry: Retry = PATIENT) -> None:
    """Put a published archive in its place; a file that is there already is checked like a download.

    Args:
        archive: addresses, tried in order, and the published size and checksum.
        destination: the file; it appears, complete and checked, or not at all. An interrupted download is continued.
        retry: patience with each address.

    Raises:
        UserError: no address gives the file, the file that is there is wrong, or the disk is full.
    """
    if destination.exists():
        check_file(archive, destination)
        return
    if not archive.urls:
        raise UserError(f"{destination}: nothing to fetch, the archive has no `urls`; its `path` is read directly")
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = Part(destination)
    with part.locked():
        if destination.exists():  # another process has brought it meanwhile
            check_file(archive, destination)
            return
        reasons = []
        for url in archive.urls:
            try:
                download(url, part, archive.bytes, retry, lambda head: _check_head(head, archive))
                _take(part, archive, destination)
                return
            except Unavailable as error:
                reasons.append(f"{url}: {error}")
                say(f"{reasons[-1]}; giving up this address")
        kept = f" ({part.size:,} bytes are kept and will be continued)" if part.size else ""
    raise UserError("\n  ".join([f"{destination}: no address gives this file{kept}:", *reasons]) + f"\n{BRING_IT}")


def check_file(archive: Archive, path: Path) -> None:
    """Raise UserError unless a downloaded file, or one that was put in its place by hand, is what was published."""
    try:
        _check(path, archive, path)
    except Unavailable as error:
        raise UserError(f"{path}: {error}; remove it and run the same command again") from error


def _take(part: Part, archive: Archive, destination: Path) -> None:
    """Move a complete part to its destination, or give it up if it is wrong."""
    try:
        _check(part.path, archive, destination)
    except Unavailable:
        part.clear()
        raise
    os.replace(part.path, destination)


def _check(path: Path, archive: Archive, destination: Path) -> None:
    """Raise Unavailable unless a file is what was published; without a checksum, what was downloaded first."""
    size = path.stat().st_size
    if not size:
        raise Unavailable("an empty file")
    if archive.bytes and size != archive.bytes:
        raise Unavailable(f"{size:,} bytes, expected {archive.bytes:,} (`bytes` of the archive)")
    with path.open("rb") as file:
        _check_head(file.read(HEAD), archive)
    if _is_zip(archive) and not zipfile.is_zipfile(path):
        raise Unavailable(f"its {size:,} bytes are not a whole zip archive")
    _check_digest(path, archive.checksum, destination.with_name(f"{destination.name}.sha256"))


def _check_digest(path: Path, checksum: str | None, record: Path) -> None:
    """Compare with the published checksum, else with the recorded one, else record it."""
    if checksum:
        kind, _, expected = checksum.partition(":")
        if (found := _digest(path, kind)) != expected:
            raise Unavailable(
                f"{kind} {found}, expected {expected} (`checksum` of the archive): damaged on the way here, or another "
                "version of the file"
            )
        return
    found = _digest(path, "sha256")
    if not record.exists():
        atomic_write_text(record, f"{found}  {record.stem}\n")
    elif found not in (recorded := record.read_text(encoding="utf-8")).split():
        raise Unavailable(
            f"sha256 {found}, but the first download had {recorded.partition(' ')[0]}: damaged, or the published file "
            f"has changed; if you trust the new one, delete {record}"
        )


def _check_head(head: bytes, archive: Archive) -> None:
    """Raise Unavailable if the first bytes of a file are those of a web page, or of no zip where one was promised."""
    if is_web_page(head):
        raise Unavailable(PAGE)
    if _is_zip(archive) and not head.startswith(b"PK"):
        raise Unavailable(f"not a zip archive, it begins with {head[:16]!r}")


def _is_zip(archive: Archive) -> bool:
    return any(PurePosixPath(urlsplit(url).path).suffix.lower() == ".zip" for url in archive.urls)


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
