"""Complementary loss L_comp: novel and ignore masks cover what no base mask covers (Eq. 4, Sec. 3.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simformer.losses.chunks import map_rows
from simformer.losses.focal_dice import focal_dice
from simformer.losses.grid import to_pixels
from simformer.losses.matching import Matches
from simformer.losses.precision import full_precision, promote
from simformer.settings import LossSettings


def complementary_loss(
    logits: Tensor,
    matches: Matches,
    not_base: Tensor,
    layers: int,
    settings: LossSettings,
    group_images: int,
    num_groups: int,
) -> Tensor:
    """Focal and dice between the union of an image's novel proposals and its region outside the base masks.

    The union takes, per pixel, the largest logit among the queries matched to classes without a mask and the
    constant logit(gamma) that stands for all ignore masks. Images without such a query are skipped: within a
    group the sum is divided by (images with one + 1e-5); over groups it is the plain mean.

    Args:
        logits: mask logits of all matched queries, in the order of `matches`, [T, h, w].
        matches: pairs of all layers and images.
        not_base: True outside the base masks and the padding, bool [B, H, W].
        layers: L.
        settings: weights of focal and dice, and gamma.
        group_images: images of one group; divides B.
        num_groups: groups of the whole step, on all devices and in all accumulated passes.

    Returns: what these B images add to the loss of each layer (weighted by focal and dice, not by beta), [L].
    """
    ignore_logit = math.log(settings.gamma / (1 - settings.gamma))

    def per_image(logits: Tensor, region: Tensor) -> Tensor:
        """Novel logits [S, Q, h, w] and region [S, H, W] of S (layer, image) -> loss [S]."""
        pixels = to_pixels(logits.flatten(0, 1), region.shape[-2:]).unflatten(0, logits.shape[:2])
        union = pixels.amax(1).clamp(min=ignore_logit).flatten(1)
        focal, dice = focal_dice(union, region.flatten(1))
        return settings.focal * focal + settings.dice * dice

    positions = matches.label_only
    layer, image = matches.layer[positions[:, 0]], matches.image[positions[:, 0]]
    with full_precision(logits):
        novel = promote(logits)[positions]
        novel = novel.masked_fill((positions < 0)[:, :, None, None], ignore_logit)
        losses = map_rows(per_image, positions.shape[1] * not_base[0].numel(), novel, not_base[image])
        by_image = losses.new_zeros(2, layers, len(not_base))
        by_image[:, layer, image] = torch.stack([losses, torch.ones_like(losses)])
        total, count = by_image.view(2, layers, -1, group_images).sum(-1)
        return (total / (count + 1e-5)).sum(1) / num_groups
