"""A whole training step of the transcription, for benchmarks: networks, losses, clipping and AdamW as released."""

from __future__ import annotations

from collections.abc import Callable

import torch

from simformer.config.settings import OptimSettings
from tests.reference.losses import PlainLoss, labelled
from tests.reference.network import PlainMaskFormer, PlainSimNet
from tests.workloads import Case, new_groups

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def plain_step(case: Case, method: str, device: str | torch.device = "cpu") -> Callable[[], dict[str, float]]:
    """Return what does one training step in single precision.

    Args:
        case: the sizes.
        method: 'simformer' or 'maskformer' (on all masks).
        device: of the networks; data travel there in each step.

    Returns: a function that returns the weighted terms of the loss as numbers, which the released code logs.
    """
    settings = case.settings(method)
    torch.manual_seed(0)
    model = PlainMaskFormer(case.classes, settings.model).to(device).train()
    simnet = None
    if method == "simformer":
        simnet = PlainSimNet(settings.model.dim, settings.model.simnet_dim).to(device).train()
    novel = range(case.classes - case.novel, case.classes)
    loss = PlainLoss(settings.loss, settings.matching, settings.similarity, novel)
    optimizer = torch.optim.AdamW(parameter_groups(model, simnet, settings.optim), betas=(0.9, 0.999), eps=1e-8)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    groups = new_groups(case, method)
    images = torch.cat([group.images for group in groups])
    targets = [labelled(target) for group in groups for target in group.targets]
    mean, deviation = (torch.tensor(v, device=device)[:, None, None] for v in (MEAN, DEVIATION))
    done = 0

    def step() -> dict[str, float]:
        nonlocal done
        seeds = [1009 * done + number for number in range(len(groups))]
        output = model((images.to(device).float() - mean) / deviation)
        terms = loss(output, [target.to(device) for target in targets], simnet, seeds)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.optim.clip_norm)
        optimizer.step()
        done += 1
        return {name: float(value.detach()) for name, value in terms.items()}

    return step


def parameter_groups(model: PlainMaskFormer, simnet: PlainSimNet | None, settings: OptimSettings) -> list[dict]:
    """One group per tensor: a lower rate in the backbone, no decay of norms and of the queries."""
    groups = []
    for top in [model] if simnet is None else [model, simnet]:
        for path, module in top.named_modules():
            norm = "norm" in type(module).__name__.lower() or isinstance(module, torch.nn.Embedding)
            rate = settings.lr * (settings.backbone_lr_factor if path.startswith("backbone") else 1)
            decay = 0.0 if norm else settings.weight_decay
            groups += [
                {"params": [p], "lr": rate, "weight_decay": decay}
                for p in module.parameters(recurse=False)
                if p.requires_grad
            ]
    return groups
