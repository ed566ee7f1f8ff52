"""Work on single files in several processes. The parent handles signals, and a process that dies gives one line."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from simformer.machine.stop_signal import signals_blocked

Part = TypeVar("Part")
Result = TypeVar("Result")


def in_processes(
    task: Callable[[Part], Result], parts: Sequence[Part], workers: int, what: str
) -> Iterator[tuple[int, Result]]:
    """Yield the number and the result of every part of some work, in the order in which they are done.

    Args:
        task: what is done with a part; sent to each process once.
        parts: of the work.
        workers: processes; 1 works in this process.
        what: the work, for messages.
    Raises: ChildProcessError if a process ends abruptly.
    """
    if workers <= 1 or len(parts) <= 1:
        yield from ((number, task(part)) for number, part in enumerate(parts))
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(parts)), context, _begin, (task,))
    running: dict[Future[Result], int] = {}
    try:
        for number, part in enumerate(parts):
            with signals_blocked():  # the processes are started here
                running[pool.submit(_work, part)] = number
            if len(running) >= 2 * workers:
                yield from _collect(running)
        while running:
            yield from _collect(running)
    except BrokenProcessPool:
        for process in list((pool._processes or {}).values()):
            process.kill()  # from Python 3.12 on the pool sends SIGTERM, which they ignore, and waits for them
        raise ChildProcessError(
            f"{what}: a process ended abruptly, which often means out of memory; run the same command again, with "
            "fewer --workers or more memory"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _collect(running: dict[Future[Result], int]) -> Iterator[tuple[int, Result]]:
    """Wait for one part or more, and take them out."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


_task: Callable[[Any], Any]
"""In a working process: what it does with a part, sent once."""


def _begin(task: Callable[[Any], Any]) -> None:
    """Prepare a working process: it leaves signals to its parent, and ends with it."""
    global _task
    _task = task
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once its parent is gone, even killed: it would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only the pool starts this function"
    parent.join()
    os._exit(1)


def _work(part: Any) -> Any:
    return _task(part)
