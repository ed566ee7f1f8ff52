"""Facts about a training that are no result: which code, on which machine, and what it needed."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import simformer

MEGABYTE = 1e6


@dataclass(frozen=True)
class Usage:
    """What some steps of a training took.

    Attributes:
        steps: optimiser steps.
        seconds: wall time.
        memory_mb: peak resident memory of the largest process, without its data-loading processes, megabytes.
        gpu_memory_mb: peak memory of tensors on the GPU that held most, megabytes; 0 on the CPU.
        energy_wh: energy of all GPUs, watt-hours; None where it cannot be measured.
    """

    steps: int = 0
    seconds: float = 0.0
    memory_mb: float = 0.0
    gpu_memory_mb: float = 0.0
    energy_wh: float | None = 0.0


def beside(usages: Sequence[Usage]) -> Usage:
    """Combine what processes took that worked on the same steps at the same time."""
    return replace(_peaks(usages), steps=usages[0].steps, seconds=max(usage.seconds for usage in usages))


def after(usages: Sequence[Usage]) -> Usage:
    """Combine what one part of a training took and what the next did."""
    return replace(_peaks(usages), steps=sum(u.steps for u in usages), seconds=sum(u.seconds for u in usages))


def _peaks(usages: Sequence[Usage]) -> Usage:
    energies = [usage.energy_wh for usage in usages if usage.energy_wh is not None]
    return Usage(
        memory_mb=max(usage.memory_mb for usage in usages),
        gpu_memory_mb=max(usage.gpu_memory_mb for usage in usages),
        energy_wh=sum(energies) if len(energies) == len(usages) else None,
    )


class Meter:
    """Measures what a training takes; part of its state, so that an interruption loses nothing of the total.

    Args:
        device: device of this process.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before = Usage()
        self.total = Usage()
        self._steps = 0
        self._energy: float | None = 0.0
        self._started = self._sampled = time.monotonic()

    def count(self) -> None:
        """Count a step."""
        self._steps += 1

    def sample(self) -> None:
        """Add the energy since the last sample, at the power of this moment."""
        now, watts = time.monotonic(), _power(self.device)
        if watts is None or self._energy is None:
            self._energy = None
        else:
            self._energy += watts * (now - self._sampled) / 3600
        self._sampled = now

    @property
    def seconds(self) -> float:
        """Wall time so far, earlier parts of the training included."""
        return self.before.seconds + time.monotonic() - self._started

    def own(self) -> Usage:
        """Return what this process has taken so far."""
        self.sample()
        on_gpu = self.device.type == "cuda"
        return Usage(
            steps=self._steps,
            seconds=time.monotonic() - self._started,
            memory_mb=_resident_bytes() / MEGABYTE,
            gpu_memory_mb=torch.cuda.max_memory_allocated(self.device) / MEGABYTE if on_gpu else 0.0,
            energy_wh=self._energy,
        )

    def update(self, usages: Sequence[Usage]) -> Usage:
        """Set the total: earlier parts of the training, and what each process has taken since; returns it."""
        self.total = after([self.before, beside(usages)])
        return self.total

    def state_dict(self) -> dict[str, Any]:
        """Return the total."""
        return asdict(self.total)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the total of the earlier parts."""
        self.before = self.total = Usage(**state)


def facts(usage: Usage, gpus: Sequence[str | None]) -> dict[str, Any]:
    """Return what train.json says about a finished training, in addition to its settings and results.

    Args:
        usage: what the whole training took.
        gpus: name of the GPU of each process, None for the CPU.
    """
    return {
        "seconds": round(usage.seconds, 1),
        "steps_per_second": round(usage.steps / usage.seconds, 3) if usage.steps else None,
        "memory_mb": round(usage.memory_mb),
        "gpu_memory_mb": round(usage.gpu_memory_mb),
        "energy_wh": None if usage.energy_wh is None else round(usage.energy_wh, 3),
        "processes": len(gpus),
        "device": gpus[0] or "cpu",
        "gpus": [name for name in gpus if name],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "code": code_version(Path(simformer.__file__).parent),
        "host": socket.gethostname(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def code_version(package: Path) -> str:
    """Return the git commit of a package's folder, '-dirty' after it if files were edited, else its version.

    A package that is installed somewhere inside another repository is not part of that repository's commits.
    """
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        return _git(package, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return simformer.__version__


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def _resident_bytes() -> int:
    """Peak resident memory of this process; Linux counts in kibibytes, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _power(device: torch.device) -> float | None:
    """Power that a GPU draws, watts; None without NVML, which torch reads through the package `pynvml`."""
    if device.type != "cuda":
        return None
    try:
        return torch.cuda.power_draw(device) / 1000
    except Exception:  # drivers and sensors differ in what they raise, and none of it may end a training
        return None
