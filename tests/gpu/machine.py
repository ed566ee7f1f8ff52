"""On what machine the acceptance ran: card, driver, libraries, processor. No name of a host or a user is kept."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from simformer.machine.devices import choose_device, has_bf16
from tests.gpu.needs import NEEDS, PEERS

OTHERS = {name: name for name in (*PEERS, "pandas", "triton")}
"""Packages that may be missing."""

QUERY = "driver_version,power.limit,clocks.max.sm,persistence_mode,mig.mode.current"


def machine(wanted: str) -> dict[str, Any]:
    """Return the facts, and under 'device' the device that is examined.

    Args:
        wanted: 'auto', 'cpu', 'cuda' or 'cuda:N'.
    Raises: UserError if there is no such device.
    """
    device = "cpu" if wanted == "cpu" or (wanted == "auto" and not torch.cuda.device_count()) else str(_card(wanted))
    facts: dict[str, Any] = {
        "device": device,
        "gpu": None,
        "bf16": has_bf16(torch.device(device)),
        "gpus": torch.cuda.device_count(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {package: _version(module, package) for module, package in (NEEDS | OTHERS).items()},
        "cuda": torch.version.cuda,
        "cudnn": None,
        "driver": None,
    }
    if device == "cpu":
        return facts
    properties = torch.cuda.get_device_properties(device)
    facts |= {
        "gpu": properties.name,
        "gpu_memory_bytes": properties.total_memory,
        "multiprocessors": properties.multi_processor_count,
        "capability": f"{properties.major}.{properties.minor}",
        "cudnn": torch.backends.cudnn.version(),
    }
    return facts | _asked(torch.device(device).index or 0)


def _card(wanted: str) -> torch.device:
    """Return the card: for 'auto' and 'cuda' the first visible one, without a lease, which a child could not have."""
    return choose_device("cuda:0" if wanted in ("auto", "cuda") else wanted)


def _asked(index: int) -> dict[str, Any]:
    """Ask the driver's own tool; where it is missing, that is told."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    which = names[index].strip() if index < len(names) and names[index].strip() else str(index)
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader", "-i", which]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return {"driver_tool": f"nvidia-smi gave nothing ({type(error).__name__})"}
    values = [value.strip() for value in text.splitlines()[0].split(",")] if text else []
    return {"driver" if key == "driver_version" else key: value for key, value in zip(QUERY.split(","), values)}  # noqa: B905


def _version(module: str, package: str) -> str | None:
    """Return a package's version, None without the package; its module is asked where the package has no record."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return getattr(sys.modules.get(module), "__version__", None)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
