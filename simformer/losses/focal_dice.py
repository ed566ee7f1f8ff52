"""Focal and dice, the two distances between mask logits and a binary mask (Eq. 2, Eq. 4, matching)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from simformer.losses.chunks import PIXELS_IN_CACHE

ALPHA = 0.25
"""Weight of positive pixels in the focal loss; negative ones weigh 1 - ALPHA. The focusing exponent is 2."""


def focal_dice(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses between each prediction and its own mask.

    With s = sigmoid(logits) and t the mask: focal is the mean over pixels of alpha_t (s - t)^2 (-log p_t),
    where p_t = s on the mask and 1 - s elsewhere; dice is 1 - (2 sum(s t) + 1) / (sum s + sum t + 1).

    Args:
        logits: [..., P].
        masks: bool [..., P].

    Returns: focal in [0, inf) and dice in [0, 1), [...] each.
    """
    truth = masks.to(logits.dtype)
    score = logits.sigmoid()
    weight = (1 - ALPHA + (2 * ALPHA - 1) * truth) * (score - truth).square()
    surprise = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    focal = torch.linalg.vecdot(weight, surprise) / logits.shape[-1]
    overlap = torch.linalg.vecdot(score, truth)
    return focal, 1 - (2 * overlap + 1) / (score.sum(-1) + truth.sum(-1) + 1)


def focal_dice_pairwise(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses between every prediction and every mask of an image, by matrix products; without a gradient.

    On a CPU, a few predictions are computed at a time, so that the intermediate results stay in its cache.

    Args:
        logits: [B, N, P].
        masks: bool [B, M, P].

    Returns: focal and dice, at least in single precision, [B, N, M] each.
    """
    columns = masks.mT.to(torch.promote_types(logits.dtype, torch.float32))
    if logits.device.type != "cpu":
        return _pairwise(logits, columns)
    at_once = max(1, PIXELS_IN_CACHE // logits.shape[-1])
    parts = [_pairwise(some, own) for image, own in zip(logits, columns, strict=True) for some in image.split(at_once)]
    focal, dice = (torch.cat(part).view(*logits.shape[:-1], -1) for part in zip(*parts, strict=True))
    return focal, dice


def _pairwise(logits: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses of logits [..., N, P] and masks in columns [..., P, M]; see `focal_dice_pairwise`."""
    logits = logits.to(columns.dtype)
    score, negative = logits.sigmoid(), F.softplus(logits)
    positive = (1 - score).square_().mul_(negative - logits).mul_(ALPHA)
    negative.mul_(score.square()).mul_(1 - ALPHA)
    total = negative.sum(-1, keepdim=True)
    focal = (positive.sub_(negative) @ columns + total) / logits.shape[-1]
    overlap = score @ columns
    return focal, 1 - (2 * overlap + 1) / (score.sum(-1, keepdim=True) + columns.sum(-2, keepdim=True) + 1)
