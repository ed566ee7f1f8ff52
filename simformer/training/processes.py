"""Training in several processes, one per GPU of a node: a thin layer over torch.distributed.

`simformer train ... --gpus N` starts the processes (launch.py), or torchrun by hand: `torchrun --standalone
--nproc-per-node N -m -- simformer.cli train ...` (`--`, or it takes `--log` for its own). Every process takes a share
of the groups of each step; what the losses return adds up (losses/total.py), so that the gradient is that of the
whole batch. With one process nothing here does anything.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from simformer.config.settings import OptimSettings
from simformer.errors import AlreadyTold, UserError
from simformer.machine.stop_signal import SIGNALS
from simformer.models.running_statistics import RunningStatistics

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store


class Processes:
    """The processes of one training. All of them call the same methods in the same order.

    Attributes:
        rank: number of this process; process 0 writes files and talks to the user.
        size: number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self._parent = os.getppid()

    def share(self, optim: OptimSettings) -> range:
        """Return which groups of every step are this process's: whole groups, equally many for each process.

        Raises: UserError when the groups of a step cannot be shared equally.
        """
        groups = optim.batch_images // optim.group_images
        if groups % self.size:
            possible = " or ".join(str(n) for n in range(1, groups + 1) if groups % n == 0)
            raise UserError(
                f"optim.batch_images: {optim.batch_images} images are {groups} groups of {optim.group_images} "
                f"(optim.group_images), which {self.size} processes cannot share equally; type --gpus {possible} "
                f"(in a Snakemake profile: set-resources: train:gpu=...), or make optim.batch_images a multiple of "
                f"{self.size * optim.group_images}, which changes the training"
            )
        return range(groups * self.rank // self.size, groups * (self.rank + 1) // self.size)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block in all processes. An error in one of them ends all, and is reported once.

        Raises: the block's own exception where it failed, AlreadyTold where it did not.
        """
        failure = None
        try:
            yield
        except Exception as error:
            if self.size == 1:
                raise
            failure = error
        try:
            if self.any(failure is not None):
                raise failure or AlreadyTold(1)
        finally:
            del failure  # its traceback leads back to this frame, and would keep all that the block has used

    def sum(self, values: Sequence[float]) -> list[float]:
        """Add up numbers over the processes, in double precision."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor)
        return tensor.tolist()

    def any(self, flag: bool) -> bool:
        """Tell whether a flag is set in any process."""
        return self.sum([flag])[0] > 0

    def share_end(self, failure: Exception | None, signal_number: int) -> tuple[Exception | None, int]:
        """Share what ends the training, in all processes after the same step.

        Args:
            failure: what has failed here; told once, the others raise AlreadyTold.
            signal_number: signal that has come here; 0 for none. A process without its parent stops, too.
        Returns: what to raise here, and the signal that some process has got.
        """
        number = signal.SIGTERM if self.orphaned() and not signal_number else signal_number
        if self.size == 1:
            return failure, number
        failed, *came = self.sum([failure is not None, *(number == known for known in SIGNALS)])
        first = next((known for known, count in zip(SIGNALS, came, strict=True) if count), 0)
        return (failure or AlreadyTold(1)) if failed else None, first

    def gather(self, value: Any) -> list[Any]:
        """Return a value (any that pickles) of every process, in the order of their ranks."""
        values: list[Any] = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def orphaned(self) -> bool:
        """Tell whether the program that started this process of several has been killed."""
        return self.size > 1 and os.getppid() != self._parent

    def parallel(self, module: nn.Module, unused: bool) -> nn.Module:
        """Wrap a module so that its backward pass sums gradients over the processes, while it goes on.

        The mean that DistributedDataParallel takes becomes a sum when the loss is multiplied by `size`.
        Buffers are left alone: `in_turn` sees to those that change.

        Args:
            module: all that is trained, in one module: a step is then one forward and one backward pass of it.
            unused: whether some parameter takes no part in the loss; it then keeps no gradient at all.
        """
        if self.size == 1:
            return module
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # newer versions of PyTorch rename `broadcast_buffers`
            return DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=unused)

    def accumulate(self, module: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Return a context for one of several passes of a step; gradients travel with the last one only."""
        return nullcontext() if last or not isinstance(module, DistributedDataParallel) else module.no_sync()

    @contextmanager
    def in_turn(self, module: nn.Module | None) -> Iterator[None]:
        """Leave batch norm's running statistics as if the processes had run this block one after the other."""
        if self.size == 1 or module is None:
            yield
            return
        statistics = RunningStatistics(module)
        yield
        change = statistics.change()
        changes = [torch.empty_like(change) for _ in range(self.size)]
        dist.all_gather(changes, change)
        statistics.apply(changes)


ALONE = Processes()
"""One process that trains by itself."""


def started_by_torchrun() -> bool:
    """Tell whether this process is one that torchrun has started."""
    return dist.is_torchelastic_launched()


@contextmanager
def join(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started; without torchrun there is one.

    Whatever ends the block in several processes is told by the first that comes to its end; the others raise
    AlreadyTold.

    Args:
        device: this process's own; gloo carries CPU tensors (and all short messages), nccl those on GPUs.
    Raises: UserError if the connection to another process is lost.
    """
    if not started_by_torchrun() or os.environ["WORLD_SIZE"] == "1":
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    store, rank, size = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]  # no mark of export there
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield Processes(rank, size)
    except (Exception, KeyboardInterrupt) as error:
        # torchrun ends all processes as soon as one has failed; what there is to tell must be told first.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not isinstance(error, AlreadyTold) and not _first_to_end(store):
            raise AlreadyTold(getattr(error, "status", 1)) from None
        if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error)):
            reason = str(error).splitlines()[0]
            raise UserError(
                f"process {rank} has lost the connection to another process of this training ({reason}); the same "
                "command continues from the last saved state"
            ) from None
        raise
    dist.destroy_process_group()


def _first_to_end(store: Store) -> bool:
    with suppress(RuntimeError):  # the store lives in torchrun, which may have been killed
        return int(store.add("ended", 1)) == 1
    return True
