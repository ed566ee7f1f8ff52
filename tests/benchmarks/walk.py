"""Cost of the sparse random walk against powering the dense matrix, at 640 x 480 and ten classes.

    python tests/benchmarks/walk.py              # one thread; PSA, two-stage propagation (stride 8), IRN (stride 4)

Prints measured seconds of building and walking, and operations of both ways; nothing here is a test. The dense way is
counted, not run: 2 N^3 per squaring, and 2 C N^2 to apply the power.
"""

import math
import time

import torch

from simformer.baselines.expansion.stencil import half_disc
from simformer.baselines.expansion.walk import transition, walk

HEIGHT, WIDTH, CLASSES = 480, 640, 10
CASES = {"PSA, 64 steps": (8, 8, 64, 1), "RETAB, 2 x 256 steps": (8, 8, 256, 2), "IRN, 256 steps": (4, 10, 256, 1)}
"""Grid stride, beta, steps, number of walks."""


def main(runs: int = 5) -> None:
    """Print the comparison."""
    torch.set_num_threads(1)
    offsets = half_disc(5)
    for title, (stride, beta, steps, stages) in CASES.items():
        height, width = HEIGHT // stride, WIDTH // stride
        cells = height * width
        affinity, scores = torch.rand(len(offsets), height, width), torch.rand(CLASSES, height, width)
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            matrix = transition(affinity, offsets, beta)
            built = time.perf_counter()
            walk(scores, matrix, steps)
            times.append((time.perf_counter() - started, built - started))
        seconds, built = (stages * t for t in sorted(times)[runs // 2])
        sparse = stages * steps * 2 * matrix._nnz() * CLASSES
        dense = stages * (math.log2(steps) * 2 * cells**3 + 2 * CLASSES * cells**2)
        print(
            f"{title:22} {cells:6} cells  {seconds:6.3f} s (of which {built:.3f} s to build)  "
            f"{sparse / 1e9:6.2f} GFLOP sparse, {dense / 1e12:7.2f} TFLOP dense, ratio {dense / sparse:7.0f}"
        )


if __name__ == "__main__":
    main()
