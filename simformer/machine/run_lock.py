"""Locks between processes, also of several machines: one trains a run, one prepares a dataset, one downloads a file.

Two at once happen on clusters: Snakemake dies, its job goes on, and the next Snakemake submits the same job again. And
they happen where two clones of the repository share one folder of data.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from simformer.machine.stop_signal import LEFTOVERS, stops_delayed

POLL_SECONDS = 2.0
REMIND_SECONDS = 600.0
"""Pause between two lines that say for whom a process waits."""


def run_lock(folder: Path) -> AbstractContextManager[bool]:
    """Hold the lock of a run, a file beside its state directory (`lock`)."""
    return lock(folder.with_name(f"{folder.name}.lock"), "this run is being trained")


@contextmanager
def lock(path: Path, what: str) -> Iterator[bool]:
    """Hold a lock; wait, and say for whom, while another process holds it.

    The lock ends with the process, however that ends. Where the file system has no locks there is none, which is said.

    Args:
        path: file of the lock; missing folders above it are made, and it is removed at the end.
        what: what the other process does, e.g. 'this run is being trained'.
    Yields: whether another process had to be waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        told = None
        while (holder := _take(path, held)) is not None:
            if told is None or time.monotonic() - told > REMIND_SECONDS:
                print(f"waiting: {what} by {_described(holder, path)}", file=sys.stderr, flush=True)
                told = time.monotonic()
            time.sleep(POLL_SECONDS)
        yield told is not None


def _take(path: Path, held: ExitStack) -> str | None:
    """Lock the file until `held` ends; returns None, or what another process that has the lock wrote into the file."""
    while True:
        with stops_delayed():
            stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
            if not _locked(stream, path):
                with stream:
                    return stream.read()
            if _is_at(stream, path):
                LEFTOVERS.add(path)
                held.callback(_release, path, stream)
                stream.truncate()
                now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
                stream.write(f"process {os.getpid()} on {socket.gethostname()} since {now}")
                stream.flush()
                return None
            stream.close()  # the holder before has removed it meanwhile: this is another file


def _release(path: Path, stream: TextIO) -> None:
    with stops_delayed():
        path.unlink(missing_ok=True)
        LEFTOVERS.discard(path)
        stream.close()


def _described(text: str, path: Path) -> str:
    """Say who holds a lock; one that has ended may have left a process that still has the file open."""
    words = text.split()
    if len(words) > 3 and words[3] == socket.gethostname() and not _runs(words[1]):
        return f"{text}; it has ended, but one that it started has not: `fuser {path}` shows which one to end"
    return text or "another process"


def _runs(number: str) -> bool:
    """Tell whether a process of this machine still runs; macOS has no /proc."""
    try:
        os.kill(int(number), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


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
            f"warning: {path}: no file locks here ({error.strerror}); let no second process work on these files",
            file=sys.stderr,
        )
    return True
