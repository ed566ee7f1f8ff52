"""SIGTERM and SIGINT: they end a command at a moment when nothing is lost, and wait until then.

Outside a training's steps they raise `Stop`, at any moment. A training (`stop_flag`) only notes them, and looks after
each step; but while it waits for a batch it is not let wait: all steps are finished then.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from simformer.errors import Interrupted, UserError

ResultT = TypeVar("ResultT")
SIGNALS = (signal.SIGTERM, signal.SIGINT)
INSIST_SECONDS = 5.0
"""Pause after which a `Stop` is raised again."""
DELAY_SECONDS, LONGEST_DELAY = 0.02, 3.0
"""A signal looks again after this pause whether an import has ended; after the longest delay it ends the process."""
LEFTOVERS: set[Path] = set()
"""Files that a process removes when it ends, also when it ends in that way."""
_delays = 0
_kept = 0
"""Number of a signal whose `Stop` waits for the end of an import or of a `stops_delayed` block; 0 for none."""
LONGEST_WAIT = 1800.0
"""Seconds that a training waits for a batch."""
NO_BATCH = (
    f"no batch of images came for {LONGEST_WAIT / 60:.0f} minutes; is the dataset's disk there? The same command "
    "continues; with --workers 0 it runs in one process"
)


class Stop(KeyboardInterrupt):
    """The user, Snakemake or a cluster ends this command.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def status(self) -> int:
        """Exit status: that of a process which the signal has ended."""
        return 128 + self.number


class StopFlag:
    """Whether a signal has come.

    Attributes:
        number: of the last one; 0 before.
    """

    def __init__(self) -> None:
        self.number = 0
        self._waiting = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.number = number
        if self._waiting:
            raise Stop(number)

    @contextmanager
    def while_waiting(self) -> Iterator[None]:
        """Run a block that may be broken off.

        Raises: Stop as soon as a signal comes, or if one has come; UserError when the block takes too long.
        """
        self._waiting = True
        try:
            if self.number:
                raise Stop(self.number)
            with time_limit(LONGEST_WAIT, UserError(NO_BATCH)):
                yield
        finally:
            self._waiting = False


def stopped_after(step: int, number: int) -> Interrupted:
    """Return what a training raises that a signal has ended with its state saved."""
    when = f"after step {step}" if step else "before the first step"
    return Interrupted(f"stopped on a signal {when}; run the same command to continue", number)


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """Note SIGTERM and SIGINT in this block, instead of ending at once; raises `Stop` if one came shortly before."""
    _raise_kept()
    flag = StopFlag()
    with _handled(dict.fromkeys(SIGNALS, flag.receive)):
        yield flag


class Stops:
    """Signals that raise `Stop`, again and again: where one comes, something may take it for an error of its own.

    They raise it within `call` alone, so the code around it can tell the user in peace.

    Attributes:
        number: of the first one; 0 before.
    """

    def __init__(self) -> None:
        self.number = 0
        self._since = 0.0

    def call(self, function: Callable[[], ResultT]) -> ResultT:
        """Call a function that signals end.

        Raises: Stop when a signal comes, or if one has come before.
        """
        if self.number:
            raise Stop(self.number)
        return function()

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal; an import, which may take an exception badly, or a `stops_delayed` block ends first."""
        if not self.number:
            self.number, self._since = number, time.monotonic()
        if not any(one.f_code is Stops.call.__code__ for one in _callers(frame)):
            return
        global _kept
        _kept = self.number
        if _delays or _is_importing(frame):
            if time.monotonic() - self._since > LONGEST_DELAY:
                os.write(sys.stderr.fileno(), f"{self.text}\n".encode())
                for path in LEFTOVERS:
                    path.unlink(missing_ok=True)
                os._exit(128 + self.number)
            signal.setitimer(signal.ITIMER_REAL, DELAY_SECONDS)
            return
        _kept = 0
        signal.setitimer(signal.ITIMER_REAL, INSIST_SECONDS, INSIST_SECONDS)
        raise Stop(self.number)

    @property
    def text(self) -> str:
        """What the user is told."""
        return f"interrupted: {signal.Signals(self.number or signal.SIGINT).name}; type the same command again"


def _is_importing(frame: FrameType | None) -> bool:
    return any(one.f_code.co_filename.startswith("<frozen importlib") for one in _callers(frame))


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and those that have called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


@contextmanager
def stops_raise(until_exit: bool) -> Iterator[Stops]:
    """Let SIGTERM and SIGINT raise `Stop` in what this block calls by `Stops.call`; elsewhere in it they are noted.

    Args:
        until_exit: whether the process ends with the block: signals then change nothing any more.
    """
    global _kept
    stops = Stops()
    with _handled(dict.fromkeys((*SIGNALS, signal.SIGALRM), stops.receive)):
        try:
            yield stops
        finally:
            if _is_main_thread():
                signal.setitimer(signal.ITIMER_REAL, 0)
                _kept = 0
            if until_exit:
                ignore_stops()
    if until_exit:
        ignore_stops()


def ignore_stops() -> None:
    """Let signals pass from now on: what was asked for is done, or told, and nothing is left to be interrupted."""
    if _is_main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def stops_delayed() -> Iterator[None]:
    """Let no `Stop` be raised before the block has ended: it does what must not be done by half, and is short."""
    global _delays
    _delays += 1
    try:
        yield
    finally:
        _delays -= 1


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Keep SIGTERM and SIGINT back until the block has ended; processes that are started in it never get them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def time_limit(seconds: float, error: Exception) -> Iterator[None]:
    """Raise an error in the block when it takes too long; only in the main thread, others have no limit."""

    def late(number: int, frame: FrameType | None) -> None:
        raise error

    _raise_kept()  # its timer is taken here
    with _handled({signal.SIGALRM: late}):
        if _is_main_thread():
            signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            if _is_main_thread():
                signal.setitimer(signal.ITIMER_REAL, 0)


def _raise_kept() -> None:
    global _kept
    if number := _kept:
        _kept = 0
        raise Stop(number)


@contextmanager
def _handled(handlers: Mapping[int, Callable[[int, FrameType | None], None]]) -> Iterator[None]:
    """Install signal handlers for a block; only the main thread can, others do without."""
    if not _is_main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
