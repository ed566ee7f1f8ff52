"""RIB's pooling of the non-discriminative region, and its losses on raw logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Objective = Literal["gndrp", "average", "sigmoid"]
PRESENT, ABSENT, SHARED = 1.0, 0.0, -1.0
"""Entries of a row of labels: the image has the class; has it not; it does not count, for the image that is fine-tuned
has it, too, or nobody says whether the one or the other has it."""


def gndrp(maps: Tensor, tau: float) -> Tensor:
    """Global non-discriminative region pooling (RIB): mean over the image of what lies below tau times the maximum.

    Args:
        maps: raw class maps A, not rectified, [..., h, w].
        tau: threshold; infinity gives the plain mean, 1 leaves out the maximum itself.
    Returns: logits [...]; the divisor is h w, not the number of cells kept. A map without a positive value gives 0
        and no gradient.
    """
    fixed = maps.detach()
    peak = fixed.amax(dim=(-2, -1), keepdim=True)
    kept = (fixed < tau * peak) & (peak > 0)
    return torch.where(kept, maps, 0.0).mean(dim=(-2, -1))


def pooled(maps: Tensor, objective: Objective, tau: float) -> Tensor:
    """Logits of raw class maps [..., h, w] as an objective pools them, [...]."""
    return gndrp(maps, tau) if objective == "gndrp" else maps.mean(dim=(-2, -1))


def rib_loss(groups: Sequence[tuple[Tensor, Tensor]], objective: Objective, tau: float) -> Tensor:
    """Loss of one image's fine-tuning (RIB): minus the logits of the labels, divided by the number of labels.

    The released code sums instead, so that a step grows with the labels per image. 'sigmoid' is the ablation with a
    binary cross-entropy over all classes, divided by the same number.

    Args:
        groups: rows of equal size: raw maps [R, K, h, w], and labels (PRESENT, ABSENT, SHARED) [R, K].
        objective, tau: pooling and loss.
    """
    total = count = torch.zeros((), device=groups[0][0].device)
    for maps, labels in groups:
        logits, present = pooled(maps, objective, tau), labels == PRESENT
        if objective == "sigmoid":
            entropy = F.binary_cross_entropy_with_logits(logits, present.to(logits.dtype), reduction="none")
            total = total + torch.where(labels == SHARED, 0.0, entropy).sum()
        else:
            total = total - torch.where(present, logits, 0.0).sum()
        count = count + present.sum()
    return total / count.clamp_min(1)


def mean_logit(groups: Sequence[tuple[Tensor, Tensor]], objective: Objective, tau: float) -> Tensor:
    """Mean pooled logit over the labels of an image's rows.

    Args:
        groups: rows of equal size: raw maps [M, R, K, h, w], labels [M, R, K].
    Returns: [M]; 0 for an image without labels.
    """
    logits = [torch.where(t == PRESENT, pooled(a, objective, tau), 0.0).sum(dim=(1, 2)) for a, t in groups]
    counts = [(t == PRESENT).sum(dim=(1, 2)) for _, t in groups]
    return sum(logits[1:], start=logits[0]) / sum(counts[1:], start=counts[0]).clamp_min(1)
