"""Proposal mask loss L_mask of the classes with a mask (Eq. 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from simformer.data.targets import Target
from simformer.losses.pixel_losses import pixel_losses
from simformer.losses.precision import full_precision


def count_masks(targets: list[Target]) -> int:
    """Count the classes with a mask; summed over the whole step it is `num_masks` of the losses."""
    return sum(int(target.has_mask.sum()) for target in targets)


def mask_losses(
    logits: Tensor, masks: Tensor, layer: Tensor, layers: int, num_masks: float, num_groups: int
) -> tuple[Tensor, Tensor]:
    """Focal and dice between matched proposals and the masks of their classes, at pixel resolution.

    Padded, unlabelled and hidden novel pixels are negatives of every mask. The sums over masks are divided by
    max(1, num_masks / num_groups), the mean number of masks per group, and averaged over groups.

    Args:
        logits: mask logits of the matched queries, [T, h, w].
        masks: masks of their classes, none empty, bool [T, H, W].
        layer: decoder layer of each pair, int64 [T].
        layers: L.
        num_masks: classes with a mask in the whole step (`count_masks`), on all devices and in all passes.
        num_groups: groups of the whole step.

    Returns: what these pairs add to the focal and to the dice loss of each layer, [L] each; 0 without pairs.
    """
    losses = pixel_losses(logits[:, None], masks)
    with full_precision(losses):
        of_layer = (layer == torch.arange(layers, device=layer.device)[:, None]).to(losses.dtype)
        focal, dice = (of_layer @ losses / max(1.0, num_masks / num_groups) / num_groups).unbind(1)
        return focal, dice
