"""Random walk on an affinity graph, sparse: one implementation for PSA, IRN and two-stage propagation.

Each cell has at most 68 neighbours (radius 5), so the transition matrix has 69 entries per row. Its powers would fill
up: N x N numbers for a grid of N cells, and 2 N^3 operations per squaring. Applying it step by step gives the same.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from simformer.baselines.expansion.stencil import Offset, Windows


def transition(
    affinity: Tensor,
    offsets: tuple[Offset, ...],
    beta: float,
    send: Tensor | None = None,
    receive: Tensor | None = None,
) -> Tensor:
    """Transition matrix of a walk: T_ij = w_ij / sum_k w_kj with w_ij = a_ij^beta send_i receive_j and w_jj = 1.

    Args:
        affinity: symmetric affinity in [0, 1] of each cell and its partner at each offset, float [O, h, w]; entries
            whose partner lies outside the grid are not looked at.
        offsets: the O offsets, ascending, one of each opposite pair (`half_disc`).
        beta: exponent that sharpens affinities; 8 for PSA, 10 for IRN.
        send: 1 for cells whose scores may flow to others, else 0, [h, w]; None: all.
        receive: 1 for cells that take scores from others, else 0, [h, w]; None: all. A cell that receives nothing
            keeps its scores.
    Returns: the transpose of T as a sparse CSR matrix [N, N], N = h w cells in row-major order; rows sum to 1.
    """
    height, width = affinity.shape[-2:]
    graph = _graph(height, width, offsets, affinity.device)
    weight = affinity**beta
    back = Windows(weight, offsets, 0.0)
    before = [back[-dy, -dx][i] for i, (dy, dx) in enumerate(offsets)]
    weights = torch.stack([*before[::-1], torch.ones_like(weight[0]), *weight])
    if send is not None or receive is not None:
        one = torch.ones_like(weight[0])
        senders = Windows(one if send is None else send.to(weight.dtype), offsets, 0.0)
        opposite = [(-dy, -dx) for dy, dx in offsets]
        gates = torch.stack([senders[offset] for offset in (*opposite[::-1], (0, 0), *offsets)])
        gates = gates if receive is None else gates * receive.to(weight.dtype)
        gates[len(offsets)] = 1.0
        weights = weights * gates
    weights = weights.flatten(1) * graph.inside
    weights = weights / weights.sum(dim=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            graph.first,
            graph.columns,
            weights.T.reshape(-1)[graph.chosen],
            size=(height * width,) * 2,
            check_invariants=False,
        )


class _Graph(NamedTuple):
    """Which cells of a grid are neighbours, along O offsets, to their own place, and along the opposite offsets.

    Attributes:
        inside: whether the partner lies inside the grid, bool [2 O + 1, N].
        first: where each cell's entries begin among those of all cells, int32 [N + 1].
        columns: neighbour of each entry, int32.
        chosen: place of each entry in [N, 2 O + 1], int64.
    """

    inside: Tensor
    first: Tensor
    columns: Tensor
    chosen: Tensor


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _graph(height: int, width: int, offsets: tuple[Offset, ...], device: torch.device) -> _Graph:
    """Find the neighbours once for all images of a size."""
    every = (*((-dy, -dx) for dy, dx in reversed(offsets)), (0, 0), *offsets)
    at = Windows(torch.ones(height, width, dtype=torch.bool, device=device), offsets, False)
    inside = torch.stack([at[offset] for offset in every]).flatten(1)
    cells = torch.arange(height * width, dtype=torch.int32, device=device)
    steps = torch.tensor([dy * width + dx for dy, dx in every], dtype=torch.int32, device=device)
    first = torch.zeros(height * width + 1, dtype=torch.int32, device=device)
    first[1:] = inside.sum(dim=0).cumsum(dim=0)
    chosen = inside.T.flatten().nonzero()[:, 0]
    return _Graph(inside, first, (cells[:, None] + steps).flatten()[chosen], chosen)


def walk(scores: Tensor, transposed: Tensor, steps: int) -> Tensor:
    """Let scores flow: X <- X T^steps, where every step is a convex average over a cell and its neighbours.

    Args:
        scores: X, of the matrix's type (never half precision), [C, h, w].
        transposed: what `transition` returns for this grid.
        steps: number of steps; 64 in SEAM's PSA, 256 in IRN and RETAB.
    Returns: [C, h, w]; no row's range grows.
    """
    rows = scores.flatten(1).T.contiguous()
    for _ in range(steps):
        rows = transposed @ rows
    return rows.T.reshape(scores.shape)
