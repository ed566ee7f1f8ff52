"""SGD with a polynomial schedule and a linear warm-up, as PSA, IRN and the classifiers use it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from simformer.baselines.settings import NetworkSettings


def total_steps(settings: NetworkSettings, images: int) -> int:
    """Optimiser steps of a training on so many images."""
    return max(1, math.ceil(settings.epochs * images / settings.batch_images))


def build_sgd(network: nn.Module, backbone: nn.Module, settings: NetworkSettings) -> torch.optim.SGD:
    """SGD over a network's trainable parameters; those outside the backbone learn `head_lr_factor` times as fast."""
    inside = {id(parameter) for parameter in backbone.parameters()}
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            lr = settings.lr * (1.0 if id(parameter) in inside else settings.head_lr_factor)
            groups.setdefault(lr, []).append(parameter)
    return torch.optim.SGD(
        [{"params": parameters, "lr": lr, "base_lr": lr} for lr, parameters in groups.items()],
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def rate_factor(step: int, steps: int, settings: NetworkSettings) -> float:
    """Learning-rate factor (1 - t/T)^power of step t in 0..T-1, times (t + 1) / warm-up steps while below 1."""
    warmup = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    return float(warmup * (1 - step / steps) ** settings.power)


def sgd_step(
    loss: Tensor, network: nn.Module, optimizer: torch.optim.SGD, step: int, steps: int, settings: NetworkSettings
) -> dict[str, float]:
    """Go one step down the gradient of a loss.

    Args:
        loss: scalar.
        network: whose weights change.
        optimizer: made by `build_sgd` for this network.
        step, steps: number of this step, from 0, and of all steps.
        settings: learning rate, its schedule, and the bound of the gradient's norm.
    Returns: 'loss', 'grad_norm' (before clipping) and 'lr' (of the backbone).
    Raises: FloatingPointError if the loss or its gradient is not finite, before any weight is changed.
    """
    factor = rate_factor(step, steps, settings)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    norm = float(torch.nn.utils.clip_grad_norm_(trainable, settings.clip_norm))
    value = float(loss.detach())
    if not (math.isfinite(value) and math.isfinite(norm)):
        raise FloatingPointError(f"loss {value}, gradient norm {norm}")
    optimizer.step()
    return {"lr": settings.lr * factor, "loss": value, "grad_norm": norm}
