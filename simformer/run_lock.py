"""One process per run: two that train the same run at once would overwrite each other's state.

It happens on clusters: Snakemake dies, its job goes on, and the next Snakemake submits the same job again.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

POLL_SECONDS = 2.0


@contextmanager
def run_lock(folder: Path) -> Iterator[bool]:
    """Hold the lock of a run; wait, and say for whom, while another process holds it.

    The lock ends with the process, however that ends. Where the file system has no locks there is none, which is said.

    Args:
        folder: state directory of the run; the lock is a file beside it, which is removed at the end.
    Yields: whether another process had to be waited for.
    """
    path = folder.with_name(f"{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    stream, waited = _take(path)
    try:
        stream.truncate()
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        yield waited
    finally:
        path.unlink(missing_ok=True)
        stream.close()


def _take(path: Path) -> tuple[TextIO, bool]:
    """Open and lock the file; the holder before may have removed it meanwhile, which makes it another file."""
    waited = False
    while True:
        stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
        if not _locked(stream, path):
            if not waited:
                print(f"waiting: this run is being trained by {stream.read() or 'another process'}", file=sys.stderr)
            waited = True
            time.sleep(POLL_SECONDS)
        elif _is_at(stream, path):
            return stream, waited
        stream.close()


def _is_at(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _locked(stream: TextIO, path: Path) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        print(
            f"warning: {path}: no file locks here ({error.strerror}); start no second Snakemake on these results",
            file=sys.stderr,
        )
    return True
