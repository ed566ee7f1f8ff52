"""Complementary loss L_comp: novel and ignore masks cover what no base mask covers (Eq. 4, Sec. 3.5)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from simformer.config.settings import LossSettings
from simformer.losses.grid import to_grid
from simformer.losses.matching import Matches
from simformer.losses.pixel_losses import ABSENT, pixel_losses
from simformer.losses.precision import full_precision, promote


def complementary_loss(
    logits: Tensor,
    matches: Matches,
    not_base: Tensor,
    layers: int,
    settings: LossSettings,
    group_images: int,
    num_groups: int,
    kept: Tensor | None = None,
    progress: float = 1.0,
    doubtful: Tensor | None = None,
) -> Tensor:
    """Focal and dice between the union of an image's novel proposals and its region outside the base masks.

    The union takes, per pixel, the largest logit among the queries matched to classes without a mask and the
    constant logit(gamma) that stands for all ignore masks. Images without such a query are skipped: within a
    group the sum is divided by (images with one + 1e-5); over groups it is the plain mean.

    If it is unknown whether an image shows some class, that class may cover any part of the region. The loss then
    asks only that the novel proposals stay off the base masks and the padding. The terms below do not change, because
    they use only classes that are known to be there.

    Eq. 4 uses only the union of the novel proposals. Two terms of ours (`loss.exclusive`, `loss.present`) say which
    of them covers what. With R the not-base region and q the novel proposals of the image, they add

        exclusive * mean over R of ReLU(sum_q sigmoid(z_q) - 1)           at pixel resolution,
        present * mean over q and the k highest cells in R of softplus(-z_q)        at the embedding grid.

    Args:
        logits: mask logits of all matched queries, in the order of `matches`, [T, h, w].
        matches: pairs of all layers and images.
        not_base: True outside the base masks and the padding, bool [B, H, W].
        layers: L.
        settings: weights of focal and dice, and gamma.
        group_images: images of one group; divides B.
        num_groups: groups of the whole step, on all devices and in all accumulated passes.
        kept: share of an image's not-base pixels that its crop keeps, [B]; with `present_gate`.
        progress: share of the training's steps that are done, in [0, 1]; `ramp` is read with it.
        doubtful: images in which it is unknown of a class whether it is there, bool [B]; None if there are none.

    Returns: what these B images add to the loss of each layer (weighted by focal and dice, not by beta), [L].
    """
    ignore_logit = math.log(settings.gamma / (1 - settings.gamma))

    positions = matches.label_only
    layer, image = matches.layer[positions[:, 0]], matches.image[positions[:, 0]]
    strength = ramp(progress, *settings.ramp)
    exclusive, present = strength * settings.exclusive, strength * settings.present
    filler = ABSENT if exclusive else ignore_logit
    novel = logits[positions].masked_fill((positions < 0)[:, :, None, None], filler)
    weights = (settings.focal, settings.dice, exclusive) if exclusive else None
    granted = None if doubtful is None else doubtful[image]
    parts = pixel_losses(novel, not_base[image], ignore_logit, weights, granted)
    with full_precision(parts):
        losses = parts if exclusive else settings.focal * parts[:, 0] + settings.dice * parts[:, 1]
        if present:
            absence = absences(novel, positions >= 0, not_base[image], settings.present_share)
            if settings.present_gate:
                assert kept is not None, "the gate needs the share that each crop keeps"
                absence = ((kept[image] - 0.5) / 0.5).clamp(0, 1) * absence
            losses = losses + present * absence
        by_image = losses.new_zeros(2, layers, len(not_base))
        by_image[:, layer, image] = torch.stack([losses, torch.ones_like(losses)])
        total: Tensor
        count: Tensor
        total, count = by_image.view(2, layers, -1, group_images).sum(-1)
        return (total / (count + 1e-5)).sum(1) / num_groups


def ramp(progress: float, start: float, full: float) -> float:
    """Return 0 up to `start`, 1 from `full` on, and the line between them; all are shares of the training's steps."""
    return float(progress >= full) if full == start else min(1.0, max(0.0, (progress - start) / (full - start)))


def absences(logits: Tensor, matched: Tensor, not_base: Tensor, share: float) -> Tensor:
    """Mean over an image's novel proposals of softplus(-z), each on the cells of R where it is highest.

    Args:
        logits: mask logits of Q proposals of S (layer, image), [S, Q, h, w].
        matched: which of them there are, at least one of each row, bool [S, Q].
        not_base: the region R, bool [S, H, W].
        share: k as a share of the h w cells of the grid, rounded, at least one.

    Returns: [S]; 0 where R has fewer than k cells.
    """
    cells = logits.shape[-2] * logits.shape[-1]
    count = max(1, round(share * cells))
    region = to_grid(not_base, logits.shape[-2:]).flatten(1)
    logits = logits.flatten(2)
    with torch.no_grad():
        highest = logits.masked_fill(~region[:, None], -math.inf).topk(count, sorted=False).indices
    surprise = F.softplus(-promote(logits.gather(-1, highest))).mean(-1) * matched
    return surprise.sum(1) / matched.sum(1) * (region.sum(1) >= count)
