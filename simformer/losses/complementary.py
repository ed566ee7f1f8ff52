"""Complementary loss L_comp: novel and ignore masks cover what no base mask covers (Eq. 4, Sec. 3.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simformer.config.settings import LossSettings
from simformer.losses.arithmetic import full_precision
from simformer.losses.matching import Matches
from simformer.losses.pixel_losses import pixel_losses


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

    positions = matches.label_only
    layer, image = matches.layer[positions[:, 0]], matches.image[positions[:, 0]]
    novel = logits[positions].masked_fill((positions < 0)[:, :, None, None], ignore_logit)
    parts = pixel_losses(novel, not_base[image], ignore_logit)
    with full_precision(parts):
        losses = settings.focal * parts[:, 0] + settings.dice * parts[:, 1]
        by_image = losses.new_zeros(2, layers, len(not_base))
        by_image[:, layer, image] = torch.stack([losses, torch.ones_like(losses)])
        total, count = by_image.view(2, layers, -1, group_images).sum(-1)
        return (total / (count + 1e-5)).sum(1) / num_groups
