"""RIB's fine-tuning of a private copy of the classifier per image; several images side by side by torch.func.vmap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from simformer.baselines.class_maps.cam import divide_by_maximum
from simformer.baselines.classifier import Classifier
from simformer.baselines.rib.pooling import mean_logit, rib_loss
from simformer.baselines.rib.settings import RibSettings
from simformer.errors import UserError

COVERED = 0.3
"""A cell is covered by a class from this share of its map's maximum on (explode rule)."""
EVALUATED = {"middle": 4, "fast": 3}
"""Number of iterations at which the scales without a loss are evaluated."""

Rows = tuple[Tensor, Tensor]
"""Features [M, R, C, h, w] of rows and their labels [M, R, K]."""


@dataclass(frozen=True)
class Plan:
    """What one iteration does at each scale.

    Attributes:
        main: position of scale 1, whose maps the explode rule looks at.
        loss: positions of the scales whose rows are in the loss.
        evaluated: per scale, the iterations at which its maps are made and summed.
    """

    main: int
    loss: tuple[int, ...]
    evaluated: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, settings: RibSettings, scales: Sequence[float]) -> Plan:
        """Plan a tier's iterations; raises UserError if there is no scale 1."""
        if 1.0 not in scales:
            raise UserError(f"baselines.cam.scales {list(scales)}: RIB needs scale 1.0 among them")
        every = tuple(range(settings.iterations))
        if settings.tier == "exact":
            return cls(scales.index(1.0), tuple(i for i, s in enumerate(scales) if s >= 1), (every,) * len(scales))
        spread = np.linspace(0, settings.iterations - 1, EVALUATED[settings.tier]).round().astype(int).tolist()
        some = tuple(sorted(set(spread)))
        return cls(scales.index(1.0), (scales.index(1.0),), tuple(every if s == 1 else some for s in scales))


@dataclass(frozen=True)
class Trajectory:
    """What the fine-tuning of one image gave.

    Attributes:
        maps: per scale, the sum over iterations of ReLU(A) + mirrored ReLU(A of the mirror), [K, h, w]. A scale that is
            evaluated less often is multiplied up, class by class, so that all scales have equal weight.
        logits: mean logit of the labels fine-tuned toward, per iteration.
        stopped: iteration after which the logit was too high, None if it never was.
        exploded: class -> first iteration at which its map covered too much.
    """

    maps: tuple[Tensor, ...]
    logits: tuple[float, ...]
    stopped: int | None
    exploded: dict[int, int]


def fine_tune(
    tuned: nn.Module,
    views: Sequence[Tensor],
    present: Tensor,
    goal: Tensor,
    others: Callable[[int], Rows | None],
    settings: RibSettings,
    plan: Plan,
) -> list[Trajectory]:
    """Fine-tune one private copy of a classifier's last stages for each of M images, and sum its maps.

    Maps are summed before each update, so the first are those of the classifier itself; the update after the last is
    left out, since no map would show it.

    Args:
        tuned: the part that is fine-tuned, from features to raw maps; its batch norm must be frozen.
        views: per scale, features of each image and its mirror image, [M, 2, C, h, w].
        present: classes of the images, bool [M, K].
        goal: labels that they are fine-tuned toward, [M, K].
        others: iteration -> features [M, B, C, h, w] and labels [M, B, K] of other images; None without any.
        settings: of the fine-tuning.
        plan: which scales are evaluated and trained on when.
    """
    images, iterations = len(present), settings.iterations
    weights = {n: p.detach().expand(images, *p.shape).clone() for n, p in tuned.named_parameters()}
    buffers = dict(tuned.named_buffers())
    labels = goal[:, None].expand(-1, 2, -1)

    def forward(mine: dict[str, Tensor], features: Tensor) -> Tensor:
        maps: Tensor = functional_call(tuned, (mine, buffers), (features,))
        return maps

    def loss(mine: dict[str, Tensor], rows: tuple[Rows, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        maps = [forward(mine, features) for features, _ in rows]
        pairs = [(a, t) for a, (_, t) in zip(maps, rows, strict=True)]
        return rib_loss(pairs, settings.objective, settings.tau), tuple(maps[: len(plan.loss)])

    gradient, inference = side_by_side(grad(loss, has_aux=True), images), side_by_side(forward, images)
    sums = [torch.zeros((), device=present.device) for _ in views]
    iterations_counted = torch.zeros_like(present, dtype=torch.float32)
    evaluations = [torch.zeros_like(iterations_counted) for _ in views]
    running = torch.ones(images, dtype=torch.bool, device=present.device)
    exploded = torch.full(present.shape, iterations, device=present.device)
    stopped = torch.full((images,), iterations, device=present.device)
    first_cover = torch.zeros_like(present, dtype=torch.float32)
    history = []
    for k in range(iterations):
        raw: dict[int, Tensor] = {}
        gradients = None
        if k < iterations - 1:
            rows = tuple((views[s], labels) for s in plan.loss)
            if (more := others(k)) is not None:
                rows = (*rows, more)
            gradients, maps = gradient(weights, rows)
            raw = dict(zip(plan.loss, maps, strict=True))
        with torch.no_grad():
            for s, features in enumerate(views):
                if k == 0:  # the classifier itself, computed as for plain maps, so that they are equal to the bit
                    raw[s] = torch.stack([tuned(pair) for pair in features])
                elif s not in raw and (k in plan.evaluated[s] or s in plan.loss):
                    raw[s] = inference(weights, features)
            rectified = {s: _with_mirror(a) for s, a in raw.items()}
            cover = _cover(rectified[plan.main])
            if k == 0:
                first_cover = cover
            limit = (settings.explode_growth * first_cover).clamp_min(settings.explode_share)
            exploding = present & running[:, None] & (cover > limit) & (k > 0)
            exploded = torch.where(exploding, exploded.clamp_max(k), exploded)
            counted = running[:, None] & (exploded == iterations)
            iterations_counted += counted
            for s, maps in rectified.items():
                if k in plan.evaluated[s]:
                    sums[s] = sums[s] + torch.where(counted[..., None, None], maps, 0.0)
                    evaluations[s] += counted
            logit = mean_logit([(raw[s], labels) for s in plan.loss], settings.objective, settings.tau)
            history.append(logit.where(running, torch.nan))
            if gradients is not None:
                _descend(weights, gradients, running, settings, k)
                ending = running & (logit > settings.stop_logit)
                stopped, running = torch.where(ending, k, stopped), running & ~ending
                if not running.any():
                    break
    weights_of_scales = [iterations_counted / count for count in evaluations]
    sums = [total * weight[..., None, None] for total, weight in zip(sums, weights_of_scales, strict=True)]
    return _trajectories(sums, torch.stack(history, dim=1), stopped, exploded, iterations)


def side_by_side(function: Callable[..., Any], images: int) -> Callable[..., Any]:
    """Apply a function to each of M images; one image is computed without vmap, which then costs more than it saves.

    Args:
        function: of trees of tensors without the dimension M.
        images: M, the first dimension of every tensor that the result is called with, and returns.
    """
    if images > 1:
        return vmap(function)

    def alone(*trees: Any) -> Any:
        found = function(*(torch.utils._pytree.tree_map(lambda t: t[0], tree) for tree in trees))
        return torch.utils._pytree.tree_map(lambda t: t[None], found)

    return alone


def _descend(
    weights: dict[str, Tensor], gradients: dict[str, Tensor], running: Tensor, settings: RibSettings, k: int
) -> None:
    """One step of SGD, in place: lr (1 - k / iterations)^power, weight decay, no momentum; ended images stay."""
    rate = settings.lr * (1 - k / settings.iterations) ** settings.power
    for name, weight in weights.items():
        factor = settings.head_lr_factor if name.startswith(f"{HEAD}.") else 1.0
        step = rate * factor * (gradients[name] + settings.weight_decay * weight)
        weight -= torch.where(running.view(-1, *[1] * (weight.dim() - 1)), step, 0.0)


def _with_mirror(raw: Tensor) -> Tensor:
    """ReLU(A) of each image plus that of its mirror image, mirrored back: [M, 2, K, h, w] to [M, K, h, w]."""
    plain, mirrored = raw.relu().unbind(dim=1)
    return plain + mirrored.flip(-1)


def _cover(maps: Tensor) -> Tensor:
    """Share of the image that each class covers, [M, K, h, w] to [M, K]."""
    return (divide_by_maximum(maps) > COVERED).float().mean(dim=(-2, -1))


def _trajectories(
    sums: list[Tensor], history: Tensor, stopped: Tensor, exploded: Tensor, iterations: int
) -> list[Trajectory]:
    found = []
    for m, (logits, stop) in enumerate(zip(history.tolist(), stopped.tolist(), strict=True)):
        ends = exploded[m].tolist()
        found.append(
            Trajectory(
                tuple(maps[m] for maps in sums),
                tuple(value for value in logits if value == value),
                stop if stop < iterations else None,
                {c: k for c, k in enumerate(ends) if k < iterations},
            )
        )
    return found


HEAD = "head"
STAGES = 4


def cut(network: Classifier, constant_stages: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Cut a classifier after a number of stages of its backbone; one after the other they give its raw maps.

    Args:
        network: any backbone: a stage ends where the backbone's map is taken.
        constant_stages: 0 (nothing is constant, the first part passes images through) to 3.
    Returns: constant part, fine-tuned part whose last layer is 'head'.
    """
    layers = list(network.backbone.named_children())
    end = network.backbone.taps[constant_stages - 1] if constant_stages else None
    first = 1 + [name for name, _ in layers].index(end) if end else 0
    constant, tuned = nn.Sequential(), nn.Sequential()
    for position, (name, layer) in enumerate(layers):
        (constant if position < first else tuned).add_module(name, layer)
    tuned.add_module(HEAD, network.head)
    return constant, tuned
