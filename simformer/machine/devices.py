"""Which device a command runs on: concurrent commands on a machine with several GPUs get different ones."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import re
import tempfile
import time
from pathlib import Path
from typing import IO

import torch

from simformer.errors import UserError
from simformer.machine.device_names import DEVICES, EXPECTED
from simformer.machine.terminal import counted

POLL_SECONDS = 1.0
"""Pause between two looks for a free GPU."""

_LEASES: list[IO[bytes]] = []
"""Open lock files of this process. The system releases the locks when it ends, in whatever way."""


def choose_device(wanted: str, option: bool = True) -> torch.device:
    """Return the device of this process: with 'auto' a CUDA GPU, else Apple's GPU (MPS), else the CPU.

    One of several processes that torchrun has started takes the visible GPU of its number; any other command
    leases a CUDA GPU until it ends.

    Args:
        wanted: 'auto', 'cuda' (a GPU), 'mps', 'cpu', or 'cuda:N' (the GPU of this number among the visible ones,
            whoever else uses it).
        option: it was typed as `--device`; if not, it is an argument of a function in Python. For messages.
    Raises: UserError if there is no such GPU, or no such word.
    """
    called = f"--device {wanted}" if option else f"device {wanted!r}"
    remedy = "type --device auto" if option else "use device='auto'"
    if not re.fullmatch(DEVICES, wanted):
        raise UserError(f"{called}: expected {EXPECTED}; {remedy}")
    visible, local_rank = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", -1))
    if wanted == "auto" and not visible:
        wanted = "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"{called}: PyTorch finds no GPU of Apple here; {remedy}")
    if wanted in ("cpu", "mps"):
        return torch.device(wanted)
    number = int(wanted.removeprefix("cuda:")) if wanted.startswith("cuda:") else local_rank
    if number >= visible or not visible:
        raise UserError(f"{called}: PyTorch finds {counted(visible, 'GPU')} here, numbered from 0; {remedy}")
    return torch.device("cuda", lease(1)[0] if number < 0 else number)


def gpu_name(device: torch.device) -> str | None:
    """Return the name of a GPU, None of the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return None if device.type == "cpu" else "Apple GPU (MPS)"


def sum_type(device: torch.device) -> torch.dtype:
    """Return the type in which short sums are kept on a device: double precision, which MPS lacks."""
    return torch.float32 if device.type == "mps" else torch.float64


def has_bf16(device: torch.device) -> bool:
    """Tell whether a device computes in bf16: without units for it, a training would take many times as long."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    if platform.machine() in ("x86_64", "AMD64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def set_precision(precision: str, device: torch.device) -> None:
    """Prepare a device for trainings in a precision: TF32 for what stays in single precision, but not with fp32.

    Raises: UserError if the device does not compute in it.
    """
    if (precision == "bf16" and not has_bf16(device)) or (precision == "fp16" and device.type == "mps"):
        what = gpu_name(device) or "this processor"
        raise UserError(
            f"optim.precision: {precision}, but {what} does not compute in it; train elsewhere, or write "
            f"optim: {{precision: {'fp16' if device.type == 'cuda' else 'fp32'}}} under the settings of the dataset or "
            "method, which makes it another run"
        )
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
        torch.backends.cudnn.allow_tf32 = precision != "fp32"


def lease(count: int) -> list[int]:
    """Take GPUs that no other command of this user has leased, until this process ends; waits until there are enough.

    The candidates are those in CUDA_VISIBLE_DEVICES if it is set. Slurm numbers the GPUs of each job from 0:
    there only commands of the same job compete.

    Args:
        count: how many.
    Returns: their numbers among the visible ones.
    Raises: UserError if fewer are visible at all.
    """
    names = visible_gpus()
    if count > len(names):
        raise UserError(f"{count} GPUs are asked for, but {len(names)} visible; type --gpus {len(names)}")
    job = os.environ.get("SLURM_JOB_ID")
    folder = Path(tempfile.gettempdir(), f"simformer-{os.getuid()}", f"job{job}" if job else "")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    told = False
    while True:
        with (folder / "choosing.lock").open("ab") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            free = {number: file for number, name in enumerate(names) if (file := _lock(folder / f"gpu{name}.lock"))}
            if len(free) >= count:
                taken = list(free)[:count]
                _LEASES.extend(free[number] for number in taken)
                return taken
            for file in free.values():
                file.close()
        if not told:
            logging.getLogger(__name__).warning(
                "waiting for a GPU: %d needed, %d of %d not used by other simformer commands (locks in %s)",
                count,
                len(free),
                len(names),
                folder,
            )
            told = True
        time.sleep(POLL_SECONDS)


def visible_gpus() -> list[str]:
    """Return the visible GPUs as CUDA_VISIBLE_DEVICES names them, or by number."""
    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


def _lock(path: Path) -> IO[bytes] | None:
    """Return the file with its lock taken, None if another process has it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
