"""What the boundary network learns: edges of base masks. Edges between two novel classes are unknown."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.config.settings import IGNORE


def base_edges(label_maps: Tensor, padding: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Find the edges of base masks, and where it is known whether there is one.

    E holds the pixels with another label at most `reach` pixels away (in either direction) of which at least one is
    base; nothing is compared across the border of the image or with padding. The interior of the not-base region is
    unknown: it may hold borders of two novel classes. Base masks and E are known.

    Args:
        label_maps: base class id or IGNORE, uint8 [B, H, W].
        padding: True outside the image, bool [B, H, W].
        reach: rho, in pixels.
    Returns: (E, known), bool [B, H, W].
    """
    labels, side = label_maps.float(), 2 * reach + 1
    highest = _largest(labels.masked_fill(padding, -1.0), side, reach)
    lowest = -_largest(-labels.masked_fill(padding, 256.0), side, reach)
    edges = (highest != lowest) & ~padding  # of two different labels at most one is IGNORE
    return edges, ((label_maps != IGNORE) & ~padding) | edges


def edge_loss(logits: Tensor, edges: Tensor, known: Tensor) -> Tensor:
    """Class-balanced binary cross-entropy: L = mean over E + mean over the other known pixels.

    Args:
        logits: of a pixel to be a boundary, [B, H, W].
        edges, known: see `base_edges`.
    Returns: the loss, a scalar; an empty set counts 0.
    """
    of_edges, of_others = (
        torch.where(chosen, F.softplus(value), 0.0).sum() / chosen.sum().clamp_min(1)
        for chosen, value in ((edges, -logits), (known & ~edges, logits))
    )
    return of_edges + of_others


def taught(edges: Tensor, known: Tensor, label_maps: Tensor, sides: str) -> tuple[Tensor, Tensor]:
    """Choose the pixels that teach.

    Of the not-base region only edges are known. If they teach, a network can learn what novel classes look like and
    call all of it an edge; without them it sees edges and interiors of base classes alone, and edges of novel ones are
    what it generalises to.

    Args:
        edges, known: see `base_edges`.
        label_maps: base class id or IGNORE, [B, H, W].
        sides: 'base' or 'both'.
    Returns: (edges, known) that the loss uses.
    """
    if sides == "both":
        return edges, known
    base = label_maps != IGNORE
    return edges & base, known & base


def _largest(grid: Tensor, side: int, reach: int) -> Tensor:
    return F.max_pool2d(grid[:, None], side, stride=1, padding=reach)[:, 0]
