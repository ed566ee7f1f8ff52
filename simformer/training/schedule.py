"""Optimiser, parameter groups and learning-rate schedule (Appendix A3)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import nn

from simformer.config.settings import OptimSettings

NO_DECAY = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._BatchNorm, nn.Embedding)
"""Modules whose own parameters are not decayed."""


def parameter_groups(
    modules: Iterable[nn.Module], backbone: nn.Module, settings: OptimSettings, undecayed: Collection[int] = ()
) -> list[dict[str, Any]]:
    """Split all trainable parameters by (learning rate, weight decay).

    Args:
        modules: top-level modules to train (MaskFormer, SimNet).
        backbone: the part whose learning rate is multiplied by `settings.backbone_lr_factor`.
        settings: lr and weight_decay.
        undecayed: ids of further parameters that are not decayed.
    Returns: AdamW groups; norm layers and embeddings are not decayed, biases are.
    """
    in_backbone = {id(p) for p in backbone.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module in (m for top in modules for m in top.modules()):
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            lr = settings.lr * (settings.backbone_lr_factor if id(parameter) in in_backbone else 1.0)
            decay = 0.0 if isinstance(module, NO_DECAY) or id(parameter) in undecayed else settings.weight_decay
            groups.setdefault((lr, decay), []).append(parameter)
    return [{"params": p, "lr": lr, "base_lr": lr, "weight_decay": decay} for (lr, decay), p in groups.items()]


def build_optimizer(
    modules: Iterable[nn.Module], backbone: nn.Module, settings: OptimSettings, undecayed: Collection[int] = ()
) -> torch.optim.AdamW:
    """AdamW with betas (0.9, 0.999) and eps 1e-8 over `parameter_groups`.

    On a GPU, and in half precision, the whole update is one fused kernel; where there is none, a warning says so.
    Apple's GPUs do without: a step must be able to skip its update without a look at the gradient's norm.
    """
    groups = parameter_groups(modules, backbone, settings, undecayed)
    betas, eps = (0.9, 0.999), 1e-8
    device = groups[0]["params"][0].device.type
    if device != "mps" and (device != "cpu" or settings.precision != "fp32"):
        try:
            return torch.optim.AdamW(groups, betas=betas, eps=eps, fused=True)
        except RuntimeError as error:
            logging.getLogger(__name__).warning("AdamW is not fused here (%s); a step takes longer", error)
    return torch.optim.AdamW(groups, betas=betas, eps=eps)


def poly_factor(step: int, settings: OptimSettings) -> float:
    """Learning-rate factor (1 - t/T)^power of step t in 0..T-1; no warm-up."""
    return float((1 - step / settings.steps) ** settings.power)


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, settings: OptimSettings) -> float:
    """Set every group's rate for a step; returns the factor."""
    factor = poly_factor(step, settings)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    return factor
