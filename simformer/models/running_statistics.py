"""Running statistics of batch norm, as if several processes had updated them one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class RunningStatistics:
    """What a block of forward passes does to the running means and variances of a network.

    Every update of batch norm is r <- (1 - m) r + m s, with momentum m and the statistics s of its batch, which
    do not depend on r. Any number n of them is r <- (1 - m)^n r + c, and such changes can be chained.

    Args:
        module: the network before the block; without batch norm layers nothing is kept.
    """

    def __init__(self, module: nn.Module) -> None:
        self.norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
        self.keep = self._per_value([1 - momentum(norm) for norm in self.norms])
        self.start, self.start_updates = self._values(), self._updates()

    def change(self) -> Tensor:
        """Return the numbers n and the terms c of all V values since the block began, float64 [2, V] on the CPU."""
        updates = self._updates() - self.start_updates
        return torch.stack([updates, self._values() - self.keep**updates * self.start])

    def apply(self, changes: Sequence[Tensor]) -> None:
        """Set the statistics to those before the block with some changes made to them, in this order."""
        values, total = self.start, self.start_updates
        for updates, terms in changes:
            values, total = self.keep**updates * values + terms, total + updates
        sizes = [2 * norm.num_features for norm in self.norms]
        for norm, both, updates in zip(self.norms, values.split(sizes), total.split(sizes), strict=True):
            mean, variance, batches = running_values(norm)
            for value, chained in zip((mean, variance), both.chunk(2), strict=True):
                value.copy_(chained)
            batches.fill_(int(updates[0]))

    def _values(self) -> Tensor:
        values = [value for norm in self.norms for value in running_values(norm)[:2]] or [torch.zeros(0)]
        return torch.cat(values).cpu().double()

    def _updates(self) -> Tensor:
        return self._per_value([int(running_values(norm)[2]) for norm in self.norms])

    def _per_value(self, numbers: Sequence[float]) -> Tensor:
        """Repeat a number of each layer for every value of it, float64 [V]."""
        sizes = torch.tensor([2 * norm.num_features for norm in self.norms], dtype=torch.int64)
        return torch.tensor(numbers, dtype=torch.float64).repeat_interleave(sizes)


def running_values(norm: _BatchNorm) -> tuple[Tensor, Tensor, Tensor]:
    """Return the running mean and variance of a batch norm that keeps them, and the number of its batches so far."""
    mean, variance, batches = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert mean is not None and variance is not None and batches is not None
    return mean, variance, batches


def momentum(norm: _BatchNorm) -> float:
    """Return the weight of a new batch in running statistics; a layer without one would average over all batches."""
    assert norm.momentum is not None
    return norm.momentum
