"""Random walk on an affinity graph, sparse: one implementation for PSA, IRN and two-stage propagation.

Each cell has at most 68 neighbours (radius 5), so the transition matrix has 69 entries per row. Its powers would fill
up: N x N numbers for a grid of N cells, and 2 N^3 operations per squaring. Applying it step by step gives the same.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from simformer.baselines.stencil import Offset, shifted


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
    weight = affinity**beta
    one = torch.ones_like(weight[0])
    send = one if send is None else send.to(weight.dtype)
    receive = one if receive is None else receive.to(weight.dtype)
    after = [(offset, weight[i], shifted(send, offset, 0.0)) for i, offset in enumerate(offsets)]
    before = [
        ((-dy, -dx), shifted(weight[i], (-dy, -dx), 0.0), shifted(send, (-dy, -dx), 0.0))
        for i, (dy, dx) in enumerate(offsets)
    ]
    entries = [*before[::-1], ((0, 0), one, one), *after]
    inside = torch.stack([shifted(one, offset, 0.0) for offset, _, _ in entries]).flatten(1) > 0
    gates = [one if offset == (0, 0) else sender * receive for offset, _, sender in entries]
    weights = torch.stack([w * gate for (_, w, _), gate in zip(entries, gates, strict=True)]).flatten(1) * inside
    weights = weights / weights.sum(dim=0)
    cells = torch.arange(height * width, dtype=torch.int32, device=weight.device)
    steps = torch.tensor([dy * width + dx for (dy, dx), _, _ in entries], dtype=torch.int32, device=weight.device)
    first = torch.zeros(height * width + 1, dtype=torch.int32, device=weight.device)
    first[1:] = inside.sum(dim=0).cumsum(dim=0)
    columns = (cells[:, None] + steps)[inside.T]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            first, columns, weights.T[inside.T], size=(height * width,) * 2, check_invariants=False
        )


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
