"""Affinities of pairs of cells, and the loss that teaches them, shared by PSA, IRN and RETAB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from simformer.baselines.expansion.stencil import Offset, Windows, inside, segment
from simformer.config.settings import IGNORE

EPSILON = 1e-5
"""Added in logarithms and to the counts of pairs."""


def feature_affinity(features: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Affinity of PSA: a_ij = exp(-mean over channels of |v_i - v_j|).

    Args:
        features: v, [B, C, h, w].
        offsets: O offsets of the partners j.
    Returns: in (0, 1], [B, O, h, w]; 0 where the partner lies outside the grid.
    """
    affinity: Tensor = FeatureAffinity.apply(features, offsets)  # type: ignore[no-untyped-call]
    return affinity


class FeatureAffinity(torch.autograd.Function):
    """`feature_affinity` with its gradient written out, so that nothing of the size of O feature maps is kept.

    d a_ij / d v_i = -a_ij sign(v_i - v_j) / C, and the opposite for v_j.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
        """Compute a; see `feature_affinity`."""
        batch, _, height, width = features.shape
        affinity = features.new_zeros(batch, len(offsets), height, width)
        for number, offset in enumerate(offsets):
            cells, partners = inside(offset, height, width)
            difference = (features[cells] - features[partners]).abs_().mean(dim=1)
            affinity[:, number][cells] = difference.neg_().exp_()
        ctx.offsets = offsets
        ctx.save_for_backward(features, affinity)
        return affinity

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Gradient for the features, from that of a."""
        features, affinity = ctx.saved_tensors
        pull = affinity * gradient / -features.shape[1]
        result = torch.zeros_like(features)
        for number, offset in enumerate(ctx.offsets):
            cells, partners = inside(offset, *features.shape[-2:])
            part = (features[cells] - features[partners]).sign_().mul_(pull[:, [number]][cells])
            result[cells] += part
            result[partners] -= part
        return result, None


def boundary_affinity(boundary: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    """Affinity of IRN: a_ij = 1 - the highest boundary probability on the way from i to j, both ends included.

    Args:
        boundary: probability in [0, 1] of a cell to lie on a class boundary, [B, h, w].
        offsets: O offsets of the partners j.
    Returns: in [0, 1], [B, O, h, w]; meaningless where the partner lies outside the grid.
    """
    highest: Tensor = HighestOnTheWay.apply(boundary, offsets)  # type: ignore[no-untyped-call]
    return 1 - highest


class HighestOnTheWay(torch.autograd.Function):
    """Highest value on the way to the partner at each offset, [B, h, w] to [B, O, h, w]; 0 counts outside the grid.

    The gradient is written out, as the ways of all offsets together are hundreds of maps. It goes to the cells that
    have the highest value, in equal parts.
    """

    @staticmethod
    def forward(ctx: Any, boundary: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
        """Compute the highest values."""
        at = Windows(boundary, offsets, 0.0)
        highest = boundary[:, None].repeat(1, len(offsets), 1, 1)
        for number, offset in enumerate(offsets):
            for cell in segment(offset):
                torch.maximum(highest[:, number], at[cell], out=highest[:, number])
        ctx.offsets = offsets
        ctx.save_for_backward(boundary, highest)
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Gradient for the boundary, from that of the highest values."""
        boundary, highest = ctx.saved_tensors
        at, result = (Windows(grid, ctx.offsets, 0.0) for grid in (boundary, torch.zeros_like(boundary)))
        for number, offset in reversed(list(enumerate(ctx.offsets))):  # in autograd's own order, to the last bit
            cells = segment(offset)
            reached = torch.stack([at[cell] for cell in cells]) == highest[:, number]
            part = gradient[:, number] / reached.sum(dim=0)
            for cell, mask in reversed(list(zip(cells, reached, strict=True))):
                result[cell].add_(part * mask)
        return result[0, 0].clone(), None


def pair_kinds(cells: Tensor, offsets: tuple[Offset, ...]) -> tuple[Tensor, Tensor]:
    """Which pairs of labelled cells agree, and which do not; pairs with an IGNORE cell or an outer one are neither.

    Args:
        cells: class id or IGNORE of each cell, integer [B, h, w].
        offsets: O offsets of the partners.
    Returns: (same, different), bool [B, O, h, w].
    """
    at = Windows(cells, offsets, IGNORE)
    partners = torch.stack([at[offset] for offset in offsets], dim=1)
    known = (cells != IGNORE)[:, None] & (partners != IGNORE)
    agree = cells[:, None] == partners
    return known & agree, known & ~agree


def pair_loss(affinity: Tensor, positives: Sequence[Tensor], negative: Tensor) -> Tensor:
    """Half for pairs that belong together, half for pairs that do not (PSA, IRN, RETAB without a background class).

    L = 1/2 mean over k of E_{positives_k}[-log a] + 1/2 E_negative[-log(1 - a)].

    Args:
        affinity: a in [0, 1], [B, O, h, w].
        positives: groups of pairs of one class, bool [B, O, h, w] each; the groups that are not empty share the first
            half equally.
        negative: pairs of different classes, bool [B, O, h, w].
    Returns: the loss, a scalar; an empty half is 0.
    """
    attract = [_mean(-torch.log(affinity + EPSILON), group) for group in positives if group.any()]
    repel = _mean(-torch.log(1 + EPSILON - affinity), negative)
    return (sum(attract) / len(attract) + repel) / 2 if attract else repel / 2


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return torch.where(chosen, values, 0.0).sum() / (chosen.sum() + EPSILON)
