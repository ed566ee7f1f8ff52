"""Time of PSA's affinities and their gradient against the plain formula: `python tests/benchmarks/affinity.py`.

One thread; seconds per forward and backward pass, the two in turn, best of five.
"""

import time

import torch
from torch.utils.checkpoint import checkpoint

from simformer.baselines.expansion.affinity import feature_affinity
from simformer.baselines.expansion.stencil import Windows, half_disc
from simformer.machine.memory import keep_freed_memory

OFFSETS = half_disc(5)
SHAPES = ((8, 448, 12, 12), (8, 448, 20, 20), (2, 448, 56, 56))


def plain(features, offsets):
    """The formula for autograd, which computes each offset again backwards, or all of them would be kept."""

    def at(v, offset):
        return torch.exp(-(v - Windows(v, (offset,), 0.0)[offset]).abs().mean(dim=1))

    return torch.stack([checkpoint(at, features, offset, use_reentrant=False) for offset in offsets], dim=1)


def seconds(function, features):
    """CPU time of one pass."""
    start = time.process_time()
    function(features, OFFSETS).sum().backward()
    return time.process_time() - start


def main():
    """Print a line per shape."""
    torch.set_num_threads(1)
    keep_freed_memory()
    for shape in SHAPES:
        features = torch.randn(shape, requires_grad=True)
        runs = [(seconds(plain, features), seconds(feature_affinity, features)) for _ in range(5)]
        slow, fast = (min(column) for column in zip(*runs, strict=True))
        print(f"{shape!s:>18}  plain {slow:.3f} s  written out {fast:.3f} s  ratio {slow / fast:.1f}")


if __name__ == "__main__":
    main()
