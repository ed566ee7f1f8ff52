"""Time and memory of SimNet's factorised first layer against the concatenation it replaces.

    python tests/benchmarks/simnet.py            # J = 100, C = 256, as in the paper; one thread

Prints both and their ratio from one run; nothing here is a test.
"""

import time

import torch
from torch import Tensor

from simformer.models.simnet import SimNet, linear_on_pairs


def concatenated(linear: torch.nn.Linear, a: Tensor, b: Tensor) -> Tensor:
    """Apply a layer to every concatenated pair, building the D x J x I x 2C tensor."""
    a, b = a[0], b[0]
    pairs = torch.cat([a[:, :, None].expand(-1, -1, b.shape[1], -1), b[:, None].expand(-1, a.shape[1], -1, -1)], dim=-1)
    return linear(pairs)


def seconds(layer, linear: torch.nn.Linear, a: Tensor, b: Tensor, runs: int) -> float:
    """Return the median time of a forward and backward pass."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        layer(linear, a, b).sum().backward()
        times.append(time.perf_counter() - started)
    return sorted(times)[runs // 2]


def main(points: int = 100, dim: int = 256, runs: int = 7) -> None:
    """Print the comparison."""
    torch.set_num_threads(1)
    a, b = (torch.randn(1, 2, points, dim, requires_grad=True) for _ in range(2))
    linear = SimNet(dim).blocks[0].linear1
    times = {layer.__name__: seconds(layer, linear, a, b, runs) for layer in (concatenated, linear_on_pairs)}
    widest = {"concatenated": 2 * points**2 * 2 * dim, "linear_on_pairs": 2 * points**2 * linear.out_features}
    for name, value in times.items():
        print(f"{name:16} {1000 * value:8.1f} ms   largest tensor {4 * widest[name] / 2**20:6.1f} MiB")
    print(f"ratio            {times['concatenated'] / times['linear_on_pairs']:8.1f} x")


if __name__ == "__main__":
    main()
