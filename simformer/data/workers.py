"""Processes that load batches: how they end, and what the user sees when one of them fails.

A loading process puts its batches into shared memory and sends their place. PyTorch does this in a thread, and if the
thread fails, nobody notices and the training waits for ever. Here the process itself does it (`pack`), so a failure is
reported like a failure to read an image. If any other thread fails, the process ends and reports the cause (`Loaders`).
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from simformer.errors import UserError
from simformer.machine.stop_signal import SIGNALS, signals_blocked

END_SECONDS = 3.0
"""Time that loading processes have to end by themselves."""
GOES_ON = "type the same command to continue"
NO_MEMORY = ("No space left on device", "shared memory", "Bus error", "Cannot allocate memory")
NO_FILES = ("Too many open files", "ancdata", "Errno 24")


def pack(batch: list[Any]) -> bytes:
    """Put a batch's tensors into shared memory; returns what `unpack` finds them by.

    Raises: UserError if there is too little of it, or too many files are open.
    """
    try:
        return bytes(ForkingPickler.dumps(batch))
    except (OSError, RuntimeError) as error:
        raise UserError(explain(str(error))) from None


def unpack(packed: bytes) -> list[Any]:
    """Return the batch that another process has packed."""
    batch: list[Any] = pickle.loads(packed)  # noqa: S301 - written by a process of this training
    return batch


class Loaders:
    """The loading processes of one training."""

    def __init__(self) -> None:
        self._causes, self._tell = multiprocessing.Pipe(duplex=False)
        self.processes: list[multiprocessing.process.BaseProcess] = []

    def _begin(self, number: int) -> None:
        """Prepare a loading process: signals are for the training alone, and a failure of any thread ends it."""
        for stop in SIGNALS:
            signal.signal(stop, signal.SIG_IGN)
        told = self._tell

        def end(kind: type[BaseException], error: BaseException | None, *_: object) -> None:
            with suppress(OSError):
                told.send(str(error) or kind.__name__)
            os._exit(1)

        sys.excepthook = end  # of the thread that hands out shared memory, too
        threading.excepthook = lambda arguments: end(arguments.exc_type, arguments.exc_value)

    @contextmanager
    def started(
        self, items: Dataset[Any], batches: Sequence[Iterable[int]], count: int
    ) -> Iterator[Iterator[list[Any]]]:
        """Start the processes, and end them with the block, which then takes a few seconds at most.

        Args:
            items: what they load, by number.
            batches: the numbers of each batch.
            count: of processes.
        Yields: the batches.
        Raises: UserError with the cause, if they are what has failed in the block.
        """
        before = set(multiprocessing.active_children())
        on_child = signal.getsignal(signal.SIGCHLD)
        iterator = None
        try:
            with signals_blocked(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "This DataLoader will create")  # more processes than there are cores
                loader = DataLoader(
                    items,
                    batch_sampler=batches,  # type: ignore[arg-type]  # ranges do as well as lists
                    num_workers=count,
                    collate_fn=pack,
                    generator=torch.Generator(),
                    worker_init_fn=self._begin,
                )
                iterator = iter(loader)
            if threading.current_thread() is threading.main_thread():
                # PyTorch would raise wherever the training is, amid a step, too; `next` finds a dead process as well.
                signal.signal(signal.SIGCHLD, on_child or signal.SIG_DFL)
            self.processes = [process for process in multiprocessing.active_children() if process not in before]
            yield map(unpack, iterator)
        except UserError:
            raise
        except Exception as error:
            if cause := self._cause(error):
                raise UserError(cause) from None
            raise
        finally:
            timer = threading.Timer(END_SECONDS, self._kill)
            timer.daemon = True
            timer.start()
            if iterator is not None:
                iterator._shutdown_workers()  # type: ignore[attr-defined]  # of the iterator over several processes
            timer.cancel()
            self._causes.close()
            self._tell.close()

    def _cause(self, error: Exception) -> str | None:
        """Return what to tell the user of a failure, None if it is not one of loading processes."""
        broken = isinstance(error, ConnectionError | EOFError)
        if broken:  # the process that has done it is about to tell why, or to end
            wait([self._causes, *(process.sentinel for process in self.processes)], END_SECONDS)
        for process in self.processes:
            process.join(0.5 if broken else 0)  # a sentinel is ready a moment before the exit status
        with suppress(EOFError, OSError):
            if self._causes.poll():
                return explain(self._causes.recv())
        codes = [process.exitcode for process in self.processes if process.exitcode]
        if codes:
            return explain("", codes[0])
        known = any(words in str(error) for words in (*NO_MEMORY, *NO_FILES))
        return explain(str(error)) if known and isinstance(error, OSError | RuntimeError) else None

    def _kill(self) -> None:
        for process in self.processes:
            if process.is_alive():
                process.kill()


def explain(text: str, code: int = 1) -> str:
    """Return one line on why a process that loads images has failed, and what to type.

    Args:
        text: of its error.
        code: its exit code; that of a process which a signal has ended is negative.
    """
    if any(words in text for words in NO_FILES):
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return (
            f"loading processes: too many open files, the limit is {limit}; type `ulimit -n 65536` before the command, "
            f"or use fewer --workers; {GOES_ON}"
        )
    if code == -signal.SIGBUS or any(words in text for words in NO_MEMORY):
        shared = shutil.disk_usage("/dev/shm").total // 2**20 if os.path.isdir("/dev/shm") else 0
        return (
            f"loading processes: no shared memory is left (/dev/shm has {shared} MiB); give a container more "
            f"(docker run --shm-size=8g), or use fewer --workers; {GOES_ON}"
        )
    if code == -signal.SIGKILL:
        return (
            "a loading process was killed (signal 9), which often means out of memory; use fewer --workers or ask for "
            f"more memory; {GOES_ON}"
        )
    if code < 0:
        return f"a loading process has ended with signal {-code}; use --workers 0 to find out why; {GOES_ON}"
    return f"a loading process has failed ({text or f'exit status {code}'}); use --workers 0 to find out why; {GOES_ON}"
