"""Writing of single files: a reader sees the old content or all of the new one. And saying what goes on."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def atomic_write_bytes(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a file so that a reader sees the old content or all of the new one, never a part.

    Args:
        path: the file; missing folders above it are made.
        data: its new content.
        durable: wait until the disk has it, so that it also survives a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def atomic_write_text(path: Path, data: str) -> None:
    """Write a text file in UTF-8 with `atomic_write_bytes`."""
    atomic_write_bytes(path, data.encode("utf-8"))


def _umask() -> int:
    """Return the process's file mode mask (reading it needs a write)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def say(line: str) -> None:
    """Tell the user, or the job's log, what is going on."""
    print(line, file=sys.stderr, flush=True)
