"""What a step does on a card: kernels, busy time, waits of the host, bytes that travel, by PyTorch's profiler."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, record_function

from tests.gpu.report import ROOT

STEP = "acceptance step"
"""Name by which the steps are found in a trace."""
ON_CARD = ("kernel", "gpu_memcpy", "gpu_memset")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")
"""Calls in which the host waits for the card."""
CALLS = ("cuda_runtime", "cuda_driver")
MOST_PLACES = 12


@dataclass(frozen=True)
class Profile:
    """What one step does, means over the profiled steps.

    Attributes:
        busy_seconds: in which a kernel, a copy or a fill runs on the card.
        kernels: number of kernels.
        syncs: how often the host waits for the card.
        to_device_bytes, to_host_bytes: that travel.
    """

    busy_seconds: float
    kernels: float
    syncs: float
    to_device_bytes: float
    to_host_bytes: float


def profile_steps(step: Callable[[], object], device: str, steps: int = 3) -> Profile:
    """Profile some steps on a card, after it has been warmed up.

    Raises: RuntimeError if the trace holds no kernel, as where the driver forbids profiling.
    """
    torch.cuda.synchronize(device)
    with torch.profiler.profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(steps):
            with record_function(STEP):
                step()
        torch.cuda.synchronize(device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        return read_trace(json.loads(path.read_text())["traceEvents"])


def read_trace(events: list[dict[str, Any]]) -> Profile:
    """Count what the steps of a trace do.

    Args:
        events: of Chrome's trace format, as Kineto writes it: `cat`, `name`, `ts` and `dur` in microseconds.
    Raises: RuntimeError if there is no step, or no kernel.
    """
    timed = [event for event in events if event.get("ph") == "X" and "dur" in event]
    steps = [event for event in timed if event.get("name") == STEP and event.get("cat") == "user_annotation"]
    if not steps:
        raise RuntimeError("the profiler's trace holds no step")
    on_card = [event for event in timed if event.get("cat") in ON_CARD]
    kernels = [event for event in on_card if event["cat"] == "kernel"]
    if not kernels:
        raise RuntimeError("the profiler's trace holds no kernel; the driver may keep its counters to administrators")
    spans = [(step["ts"], step["ts"] + step["dur"]) for step in steps]
    waits = [event for event in timed if event.get("cat") in CALLS and event.get("name") in WAITS]
    waits = [event for event in waits if any(start <= event["ts"] < end for start, end in spans)]
    copies = [event for event in on_card if event["cat"] == "gpu_memcpy"]

    def copied(direction: str) -> float:
        return sum(float(c.get("args", {}).get("bytes", 0)) for c in copies if direction in c.get("name", ""))

    count = len(steps)
    return Profile(
        busy_seconds=_union((event["ts"], event["ts"] + event["dur"]) for event in on_card) / 1e6 / count,
        kernels=len(kernels) / count,
        syncs=len(waits) / count,
        to_device_bytes=copied("HtoD") / count,
        to_host_bytes=copied("DtoH") / count,
    )


def _union(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the length of a union of intervals, which overlap where several streams are used."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def sync_places(step: Callable[[], object], device: str) -> dict[str, int]:
    """Name the lines at which one step makes the host wait for the card, with how often, the most frequent first."""
    torch.cuda.synchronize(device)
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    found = Counter(_place(warning) for warning in caught if "synchroniz" in str(warning.message).lower())
    return dict(found.most_common(MOST_PLACES))


def _place(warning: warnings.WarningMessage) -> str:
    name = Path(warning.filename)
    shown = name.relative_to(ROOT) if name.is_relative_to(ROOT) else Path(*name.parts[-2:])
    return f"{shown}:{warning.lineno}"
