"""Starts the processes of a training on several GPUs of this machine."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence

import torch
from torch.distributed import is_torchelastic_launched
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from simformer.errors import AlreadyTold, UserError
from simformer.machine.devices import lease, visible_gpus


def should_launch(gpus: int, device: str) -> bool:
    """Tell whether this process is to start one process per GPU, instead of training itself."""
    return gpus > 1 and device in ("auto", "cuda") and torch.cuda.device_count() > 0 and not is_torchelastic_launched()


def launch(gpus: int, arguments: Sequence[str]) -> None:
    """Lease GPUs and run `torchrun --standalone --nproc-per-node GPUS -m simformer.cli ARGUMENTS` on them.

    torchrun's own report of a failure (a traceback, and the exit status 1) is left out: the training has told
    what there is to tell.

    Args:
        gpus: how many.
        arguments: those of this command.
    Raises: UserError if there are not so many GPUs; AlreadyTold with the exit status if the training has not ended
        well.
    """
    names = visible_gpus()
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names[number] for number in lease(gpus))
    options = parse_args(["--standalone", f"--nproc-per-node={gpus}", "-m", "simformer.cli"])
    options.training_script_args = list(arguments)  # torchrun's parser would take `--log` for one of its own options
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        run(options)
    except SignalException as error:
        raise AlreadyTold(128 + error.sigval) from None
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        killed = [f"{rank} (signal {-code})" for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM]
        if killed:
            raise UserError(
                f"killed: process {', '.join(killed)} of {gpus}; signal 9 often means out of memory. The same command "
                "continues from the last saved state"
            ) from None
        raise AlreadyTold(max(1, *codes.values())) from None
