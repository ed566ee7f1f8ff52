"""The real commands, each in a fork of this process, which has imported everything: starting Python anew takes seconds.

A process that has used CUDA cannot be forked. So the parts that run commands use no card themselves.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from simformer.cli import main

POLL = 0.02
DETERMINED, PLAIN = "determined", "plain"
"""How a command runs that is started anew."""


def determined() -> None:
    """Let PyTorch use algorithms that repeat themselves bit for bit, and warn of those that it does not have."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def start(arguments: Sequence[object], log: Path, before: Callable[[], None] | None = None) -> int:
    """Start `simformer ARGUMENTS`; what it prints goes to a file. Returns the process's number.

    Args:
        arguments: the command line.
        log: file to append to.
        before: called in the new process first.
    """
    return fork(lambda: _command(arguments, before), log)


def fork(call: Callable[[], int], log: Path) -> int:
    """Call a function, which returns an exit status, in a fork of this process; returns the fork's number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        sys.stdout = sys.stderr = log.open("a", buffering=1)
        os.dup2(sys.stdout.fileno(), 1)
        os.dup2(sys.stdout.fileno(), 2)
        status = call()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _command(arguments: Sequence[object], before: Callable[[], None] | None) -> int:
    words = [str(argument) for argument in arguments]
    if torch.cuda._is_in_bad_fork():  # a library has used CUDA while it was imported: Python starts anew
        how = DETERMINED if before is determined else PLAIN
        os.execv(sys.executable, [sys.executable, "-m", "tests.gpu.commands", how, *words])
    if before is not None:
        before()
    return main(words)


def end(process: int, seconds: float) -> int | None:
    """Wait for a process; returns its exit status, negative for a signal, None if it was killed after so long."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        number, status = os.waitpid(process, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL)
    kill(process)
    return None


def kill(process: int) -> int:
    """Kill a process with signal 9; returns its exit status, which is another one if it had ended before."""
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def run(arguments: Sequence[object], log: Path, seconds: float) -> None:
    """Run a command to its end.

    Raises: RuntimeError with the last lines that it printed, if it fails or takes longer.
    """
    status = end(start(arguments, log), seconds)
    if status != 0:
        what = f"not finished after {seconds:.0f} s" if status is None else f"exit status {status}"
        raise RuntimeError(f"simformer {arguments[0]}: {what}: {last_lines(log)}")


def last_lines(log: Path) -> str:
    """Return the end of what a command printed, for messages."""
    lines = log.read_text(errors="replace").replace("\r", "\n").splitlines() if log.exists() else []
    return " / ".join(line.strip() for line in lines if line.strip())[-400:]


if __name__ == "__main__":
    if sys.argv[1] == DETERMINED:
        determined()
    sys.exit(main(sys.argv[2:]))
