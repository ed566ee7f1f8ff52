"""The part of a download that has arrived: `<name>.part`, with its origin in `<name>.part.json`.

The origin is an address, with the size and dates that identify the version of the file there. A part is continued only
if the server confirms that its file is still this version (If-Range, RFC 9110).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from simformer.atomic import atomic_write_text
from simformer.machine.run_lock import lock
from simformer.text.strict_json import parse_json


@dataclass(frozen=True)
class Origin:
    """What a part was begun from: address, total size in bytes, ETag and Last-Modified, as far as they were told."""

    url: str
    size: int | None
    etag: str | None
    modified: str | None

    @property
    def validator(self) -> str | None:
        """What a server compares before it continues: a strong ETag, else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def differs(self, other: Origin) -> bool:
        """Return whether anything told about both says that they are different versions of the file."""
        pairs = ((self.size, other.size), (self.etag, other.etag), (self.modified, other.modified))
        return any(a is not None and b is not None and a != b for a, b in pairs)


class Part:
    """The part of a file that has arrived, beside its destination."""

    def __init__(self, destination: Path) -> None:
        self.path = destination.with_name(f"{destination.name}.part")
        self.note = destination.with_name(f"{destination.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def origin(self) -> Origin | None:
        """Where the part comes from; None if that is not known."""
        try:
            return Origin(**parse_json(self.note.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    @origin.setter
    def origin(self, origin: Origin) -> None:
        atomic_write_text(self.note, json.dumps(asdict(origin)))

    def clear(self) -> None:
        """Give up what has arrived."""
        os.truncate(self.path, 0)
        self.note.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make this process the only writer; while another one downloads the same file, it is waited for."""
        with lock(self.path.with_name(f".{self.path.stem}.lock"), f"{self.path.with_suffix('')} is being downloaded"):
            self.path.touch()
            try:
                yield
            finally:
                if not self.size:
                    self.path.unlink(missing_ok=True)
                    self.note.unlink(missing_ok=True)
