"""How long steps take: medians and quartiles, alone and two or more in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch

Step = Callable[[], object]
MOST_WARM_UP = 0.4
"""Share of the time that warming up may take; a slow machine then has fewer steps of it, but at least one."""


@dataclass(frozen=True)
class Times:
    """Seconds of each of some steps."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median, seconds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile, seconds."""
        if len(self.seconds) < 2:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high


def wait_for(device: str) -> None:
    """Wait until the card has done all that it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def warm_up(step: Step, device: str, times: int, seconds: float) -> None:
    """Run a step before it is timed: memory is allocated, algorithms are chosen, code is compiled."""
    ends = time.monotonic() + MOST_WARM_UP * seconds
    for done in range(times):
        step()
        wait_for(device)
        if done and time.monotonic() > ends:
            return


def time_steps(step: Step, device: str, steps: int, warmup: int, seconds: float) -> Times:
    """Time steps that follow each other as in a training.

    On a card the ends of the steps are marked by events in its queue, so that the host may run ahead as it does in a
    training; what is told is the time between two marks. On a CPU a clock is read after each step.

    Args:
        step: what is timed.
        device: where it runs.
        steps: how many are wanted.
        warmup: steps before them.
        seconds: time for all; fewer steps are timed, at least one, if it does not suffice.
    """
    began = time.monotonic()
    warm_up(step, device, warmup, seconds)
    marks = [_mark(device)]
    while len(marks) <= steps and (len(marks) == 1 or time.monotonic() - began < seconds):
        step()
        marks.append(_mark(device))
    wait_for(device)
    return Times(tuple(_between(first, second) for first, second in pairwise(marks)))


def time_in_turn(steps: Mapping[str, Step], device: str, rounds: int, warmup: int, seconds: float) -> dict[str, Times]:
    """Time several programs in one run, A B A B ..., each step between two waits for the card.

    What disturbs the machine for a while then disturbs all of them; their ratio is that of the medians.

    Args:
        steps: what is timed, by name.
        device: where it runs.
        rounds: how often each runs.
        warmup: steps of each before.
        seconds: time for all; fewer rounds are run, at least one, if it does not suffice.
    """
    began, found = time.monotonic(), {name: [] for name in steps}
    for step in steps.values():
        warm_up(step, device, warmup, seconds / len(steps))
    for number in range(rounds):
        if number and time.monotonic() - began > seconds:
            break
        for name, step in steps.items():
            wait_for(device)
            started = time.perf_counter()
            step()
            wait_for(device)
            found[name].append(time.perf_counter() - started)
    return {name: Times(tuple(values)) for name, values in found.items()}


def _mark(device: str) -> float | torch.cuda.Event:
    if device == "cpu":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def _between(first: float | torch.cuda.Event, second: float | torch.cuda.Event) -> float:
    return second - first if isinstance(first, float) else first.elapsed_time(second) / 1000


@contextmanager
def tf32(allowed: bool | None) -> Iterator[None]:
    """Let products and convolutions of single precision use TF32 within the block, or forbid it; None: neither."""
    if allowed is None:
        yield
        return
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
