"""Losses at pixel resolution, between masks and (unions of) proposals at the embedding grid (Eq. 2, Eq. 4)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from simformer.losses import chunks
from simformer.losses.focal_dice import ALPHA, focal_dice
from simformer.losses.grid import enlargement, to_pixels
from simformer.losses.precision import full_precision

ABSENT = -1e4
"""Logit of a proposal that is not there: a score of 0, even in half precision."""
Weights = tuple[float, float, float]
"""Of focal, dice and excess."""


def pixel_losses(
    logits: Tensor,
    masks: Tensor,
    floor: float = -math.inf,
    weights: Weights | None = None,
    granted: Tensor | None = None,
) -> Tensor:
    """Focal and dice between each mask and the union of some proposals, enlarged to the mask's pixels.

    The union takes, per pixel, the largest logit, and at least `floor`. Memory is bounded: only some rows are at
    pixel resolution at a time. Logits of half precision take a path of their own, which computes the gradient
    together with the loss and keeps it at the size of the grid; its arithmetic on pixels is in single precision.

    Args:
        logits: mask logits of Q proposals for each of R masks, [R, Q, h, w]; with weights, rows of fewer proposals end
            with ABSENT.
        masks: bool [R, H, W].
        floor: lower bound of the union.
        weights: of focal, dice and the excess, to get their sum. The excess says how much the proposals overlap: it is
            the mean over the mask's pixels of ReLU(sum over proposals of sigmoid(logit) - 1), 0 for an empty mask.
        granted: masks of which every pixel counts as covered, whatever the proposals say, bool [R]: focal and dice then
            ask for nothing but that the proposals stay off the other pixels. None for no such mask.

    Returns: focal and dice of each mask, [R, 2], or with weights the sum, [R]; in the logits' precision, at least
        single.
    """
    with full_precision(logits):
        if logits.dtype in (torch.bfloat16, torch.float16):
            losses: Tensor = _WithGradient.apply(logits, masks, floor, weights, granted)  # type: ignore[no-untyped-call]
            return losses
        size = logits.shape[1] * masks.shape[1] * masks.shape[2]
        more = () if granted is None else (granted,)
        return chunks.map_rows(lambda z, t, *g: _plain(z, t, floor, weights, *g), size, logits, masks, *more)


def _plain(
    logits: Tensor, masks: Tensor, floor: float, weights: Weights | None, granted: Tensor | None = None
) -> Tensor:
    """Compute the losses of some rows with operations that autograd follows, see `pixel_losses`."""
    pixels = to_pixels(logits.flatten(0, 1), masks.shape[-2:]).unflatten(0, logits.shape[:2])
    union = (pixels[:, 0] if pixels.shape[1] == 1 and floor == -math.inf else pixels.amax(1).clamp(min=floor)).flatten(
        1
    )
    if granted is not None:
        union = union.masked_fill(masks.flatten(1) & granted[:, None], -ABSENT)
    focal, dice = focal_dice(union, masks.flatten(1))
    if weights is None:
        return torch.stack([focal, dice], dim=1)
    beyond = (pixels.sigmoid().sum(1) - 1).relu() * masks
    excess = beyond.sum((1, 2)) / masks.sum((1, 2)).clamp(min=1)
    combined: Tensor = weights[0] * focal + weights[1] * dice + weights[2] * excess
    return combined


class _WithGradient(torch.autograd.Function):
    """The same losses, whose gradients at the grid are found in the forward pass, a few rows at a time."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, masks: Tensor, floor: float, weights: Weights | None, granted: Tensor | None
    ) -> Tensor:
        rows, columns = enlargement(logits, masks.shape[-2:])
        wide = torch.float32 if logits.dtype == torch.float16 else logits.dtype  # derivatives are too small for fp16
        limit = chunks.PIXELS_IN_CACHE if logits.device.type == "cpu" else chunks.PIXELS_AT_ONCE
        at_once = max(1, limit // (logits.shape[1] * masks.shape[1] * masks.shape[2]))
        losses, gradients = [], []
        free = [None] * len(masks.split(at_once)) if granted is None else granted.split(at_once)
        for some, truth, own in zip(logits.split(at_once), masks.split(at_once), free, strict=True):
            if weights is not None and len(some) and some.device.type == "cpu":  # where a look at values is free
                some = some[:, : int((some[:, :, 0, 0] > ABSENT / 2).sum(1).max())]
            pixels = (rows.T @ some @ columns).float()
            union, chosen = (pixels[:, 0], None) if some.shape[1] == 1 else pixels.max(1)
            bounded = union if floor == -math.inf else union.clamp(min=floor)
            if own is not None:  # its derivative there is 0
                bounded = bounded.masked_fill(truth & own[:, None, None], -ABSENT)
            values, by_union = _focal_dice_with_gradient(bounded.flatten(1), truth.flatten(1))
            by_union = by_union.view(2, *union.shape)
            if floor != -math.inf:
                by_union.masked_fill_(union < floor, 0)
            if weights is not None:
                values = weights[0] * values[:, 0] + weights[1] * values[:, 1]
                by_union = by_union[:1].mul_(weights[0]).add_(by_union[1:], alpha=weights[1])
            by_pixel = by_union[:, :, None].to(wide)
            if chosen is not None:
                query = torch.arange(some.shape[1], device=chosen.device)[:, None, None]
                by_pixel = by_pixel * (chosen[:, None] == query)
            if weights is not None:
                excess, by_excess = _excess_with_gradient(pixels, truth)
                values, by_pixel = values + weights[2] * excess, by_pixel.add_(by_excess, alpha=weights[2])
            losses.append(values)
            by_cell = rows.to(wide) @ by_pixel @ columns.T.to(wide)
            if missing := logits.shape[1] - some.shape[1]:
                by_cell = F.pad(by_cell, (0, 0, 0, 0, 0, missing))
            gradients.append(by_cell)
        ctx.save_for_backward(torch.cat(gradients, dim=1))
        return torch.cat(losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_loss: Tensor) -> tuple[Tensor, None, None, None, None]:
        if by_loss.dim() == 1:
            return by_loss[:, None, None, None] * ctx.saved_tensors[0][0], None, None, None, None
        focal, dice = ctx.saved_tensors[0]
        by_focal, by_dice = by_loss[:, :, None, None, None].unbind(1)
        return by_focal * focal + by_dice * dice, None, None, None, None


def _excess_with_gradient(pixels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Excess of overlapping proposals as in `pixel_losses`, and its derivative by their logits.

    Args:
        pixels: logits of the proposals; their memory is used up, [R, Q, H, W].
        masks: bool [R, H, W].

    Returns: excess [R]; derivative [R, Q, H, W].
    """
    score = pixels.sigmoid_()
    beyond = score.sum(1).sub_(1).relu_().mul_(masks)
    size = masks.sum((1, 2)).clamp(min=1)
    counted = (beyond > 0).to(score.dtype).div_(size[:, None, None])
    return beyond.sum((1, 2)) / size, score.addcmul_(score, score, value=-1).mul_(counted[:, None])


def _focal_dice_with_gradient(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Focal and dice as in `focal_dice`, and their derivatives by the logits.

    With t the mask, z = (2t - 1) logit, e = sigmoid(-z) the error and n = softplus(-z) = -log(1 - e): focal is
    mean(alpha_t e^2 n), its derivative by z is -alpha_t e^2 (e + 2 (1 - e) n) / P. Dice is 1 - U / D with
    U = 2 sum(s t) + 1 and D = sum(s) + sum(t) + 1; its derivative by s is U / D^2 - 2 t / D, and ds / dlogit is
    e (1 - e).

    Args:
        logits: [R, P]; its memory is used up.
        masks: bool [R, P].

    Returns: losses [R, 2]; derivatives of focal and of dice, [2, R, P].
    """
    truth = masks.to(logits.dtype)
    sign = truth.mul(2).sub_(1)
    opposed = logits.mul_(sign).neg_()
    error, surprise = opposed.sigmoid(), F.softplus(opposed)
    weighted = error.square().mul_(truth.mul(2 * ALPHA - 1).add_(1 - ALPHA))
    focal = torch.linalg.vecdot(weighted, surprise)
    right = 1 - error
    missed, size = torch.linalg.vecdot(error, truth), truth.sum(-1)
    overlap = size - missed
    mass = overlap + error.sum(-1) - missed + size + 1
    raised = 2 * overlap + 1
    slope = surprise.mul_(right).mul_(2).add_(error).mul_(weighted).mul_(sign).div_(-logits.shape[-1])
    by_dice = truth.mul_((-2 / mass)[:, None]).add_((raised / mass.square())[:, None]).mul_(error).mul_(right)
    losses = torch.stack([focal / logits.shape[-1], 1 - raised / mass], dim=1)
    return losses, torch.stack([slope, by_dice])
