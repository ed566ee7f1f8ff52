"""Checks of GPUs, cores and shared memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from simformer.doctor.check import Check
from simformer.machine.slurm import ask
from simformer.machine.terminal import counted

SHARED_MEMORY = 1e9
"""Bytes of /dev/shm below which data-loading processes may fail."""


def check_hardware(precisions: set[str]) -> Iterator[Check]:
    """Check what computes.

    Args:
        precisions: `optim.precision` of the study's trainings.
    """
    yield from _gpus(precisions)
    yield _cores()
    if (memory := Path("/dev/shm")).is_dir():
        yield _shared_memory(shutil.disk_usage(memory).total)


def _gpus(precisions: set[str]) -> Iterator[Check]:
    driver = ask("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    seen = len(driver.output.split()) if driver.status == 0 else 0
    try:
        import torch

        ready = torch.cuda.is_available()
    except Exception:  # torch is a check of its own
        yield Check("gpu", "warning", f"not tested, since torch cannot be imported; nvidia-smi sees {seen}")
        return
    if not ready:
        yield _no_gpu(seen, driver.output.split()[0] if seen else "", torch.version.cuda)
        if "bf16" in precisions and not shutil.which("sbatch"):
            yield _bf16_of_the_processor()
        return
    devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    names = ", ".join(f"{d.name} ({d.total_memory / 2**30:.0f} GiB)" for d in devices)
    version = f"driver {driver.output.split()[0]}" if seen else "driver unknown"
    yield Check("gpu", "ok", f"{names}; {version}, CUDA {torch.version.cuda}")
    old = [d.name for d in devices if d.major < 8]
    if old and "bf16" in precisions:
        yield Check("bf16", "problem", f"the study uses it; {', '.join(old)} cannot", "optim.precision: fp16 or fp32")
    elif old:
        yield Check("bf16", "ok", f"not on {', '.join(old)}; the study does not use it")
    else:
        yield Check("bf16", "ok", f"supported; the study trains in {', '.join(sorted(precisions)) or '?'}")


def _bf16_of_the_processor() -> Check:
    import torch

    from simformer.machine.devices import has_bf16

    if has_bf16(torch.device("cpu")):
        return Check("bf16", "ok", "this processor computes in it")
    return Check("bf16", "problem", "the study uses it; this processor does not compute in it", "optim.precision: fp32")


def _no_gpu(seen: int, driver: str, build: str | None) -> Check:
    if seen and build is None:
        found = f"{counted(seen, 'GPU')}, driver {driver}, but this torch is built only for the CPU"
        return Check("gpu", "problem", found, "install a CUDA build of torch (PyTorch's start page shows the command)")
    if seen:
        found = f"{counted(seen, 'GPU')}, driver {driver}, but torch (CUDA {build}) cannot use them"
        fix = f"a driver for CUDA {build}, or a torch for this driver; echo $CUDA_VISIBLE_DEVICES must not be empty"
        return Check("gpu", "problem", found, fix)
    if _apple():
        return Check("gpu", "ok", "Apple's (MPS), which --device auto takes; no training has been tested on one")
    if shutil.which("sbatch"):
        return Check("gpu", "ok", "none here; Slurm's jobs get theirs (run this in a job to check them)")
    return Check("gpu", "ok", "no GPU, only the CPU; this is enough for the demo")


def _apple() -> bool:
    import torch

    return torch.backends.mps.is_available()


def _cores() -> Check:
    cores, wanted = usable_cores(), os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > cores:
        found = f"{cores} usable, but OMP_NUM_THREADS={wanted}: threads would wait for each other"
        return Check("cores", "warning", found, f"export OMP_NUM_THREADS={cores}, or unset it")
    return Check("cores", "ok", f"{cores} usable; OMP_NUM_THREADS {wanted or 'not set'} (jobs set their threads)")


def usable_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the cores that this process may use, by its affinity and its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
        return max(1, min(cores, int(share) // int(period)))
    except (OSError, ValueError):  # no such file, or 'max'
        return cores


def _shared_memory(size: int) -> Check:
    found = f"{size / 1e9:.1f} GB"
    if size < SHARED_MEMORY:
        fix = "container: --shm-size=8g (--ipc=host); without it, give training jobs at most 2 threads"
        return Check("/dev/shm", "warning", f"{found}: small for data-loading processes", fix)
    return Check("/dev/shm", "ok", found)
