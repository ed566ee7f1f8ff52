"""Bipartite matching of queries and classes of each image, once per decoder layer (Sec. 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from simformer.data.targets import Target
from simformer.losses.focal_dice import focal_dice_pairwise
from simformer.losses.grid import to_grid
from simformer.losses.precision import full_precision
from simformer.settings import MatchingSettings


@dataclass(frozen=True)
class Matches:
    """Matched (query, class) pairs of a batch, flat over decoder layers and images; T pairs in all.

    Attributes:
        layer, image, query: where the matched query is, int64 [T] each.
        row: its target, as a row of the targets of all images put one after another, int64 [T].
        class_id: class of that target, int64 [T].
        with_mask: positions among the T pairs whose target has a non-empty mask, int64 [Tm].
        label_only: positions of the pairs whose target has only an image-level label, one row for each of
            the S (layer, image) that have any, filled up with -1, int64 [S, Q].
        base_ids: per image, the classes with a mask (on the host).
        novel_ids: per image, the classes without one (on the host).
    """

    layer: Tensor
    image: Tensor
    query: Tensor
    row: Tensor
    class_id: Tensor
    with_mask: Tensor
    label_only: Tensor
    base_ids: tuple[frozenset[int], ...]
    novel_ids: tuple[frozenset[int], ...]


@torch.no_grad()
def matching_costs(class_logits: Tensor, mask_logits: Tensor, target: Target, settings: MatchingSettings) -> Tensor:
    """Cost of giving each class of one image to each query: -p(class), and focal and dice against its mask.

    A class whose mask is empty at the embedding grid (always so without a mask) has the class cost only.

    Args:
        class_logits: [L, N, K+1].
        mask_logits: [L, N, h, w].
        target: targets of the image, M classes, at pixel resolution.
        settings: weights of the three costs, and the order of the columns.

    Returns: float32 [L, N, M] whatever the input's precision. Columns are in the target's order, or, without
        `remap_columns`, classes with a visible mask first (which callers then mistake for the target's order,
        as the released code does).
    """
    with full_precision(mask_logits):
        masks = to_grid(target.masks, mask_logits.shape[-2:]).flatten(1)
        visible = masks.any(1)
        focal, dice = focal_dice_pairwise(mask_logits.flatten(2).float(), masks)
        probability = class_logits.float().softmax(-1)[..., target.class_ids]
        cost = visible * (settings.focal * focal + settings.dice * dice) - settings.cls * probability
        return cost if settings.remap_columns else cost[..., torch.argsort(~visible, stable=True)]


def match(class_logits: Tensor, mask_logits: Tensor, targets: list[Target], settings: MatchingSettings) -> Matches:
    """Match queries and classes at least cost, independently for each image and decoder layer.

    The device is waited for once: costs and target facts of the whole batch travel to the host together.

    Args:
        class_logits: [L, B, N, K+1].
        mask_logits: [L, B, N, h, w].
        targets: targets of the B images; an image may have no class, or more classes than queries.
        settings: weights of the matching cost.

    Returns: the Matches, on the logits' device; min(N, M) pairs per image and layer.

    Raises: FloatingPointError when a cost is not finite.
    """
    layers, _, queries = class_logits.shape[:3]
    costs = [matching_costs(class_logits[:, i], mask_logits[:, i], t, settings) for i, t in enumerate(targets)]
    class_ids = torch.cat([t.class_ids for t in targets])
    has_mask = torch.cat([t.has_mask for t in targets])
    filled = torch.cat([t.masks.flatten(1).any(1) for t in targets])
    facts = torch.stack([class_ids.float(), has_mask.float(), filled.float()]).flatten()
    on_host = torch.cat([facts, *(cost.flatten() for cost in costs)]).cpu().numpy()

    sizes = [len(t.class_ids) for t in targets]
    starts = np.cumsum([0, *sizes])
    ends = np.cumsum([3 * sum(sizes), *(layers * queries * m for m in sizes)])
    facts, *costs = np.split(on_host, ends[:-1])
    costs = [cost.reshape(layers, queries, m) for cost, m in zip(costs, sizes, strict=True)]
    ids, base, filled = facts.reshape(3, -1).astype(np.int64)
    pairs = _solve(costs, starts)
    with_mask = np.flatnonzero(base[pairs[3]] & filled[pairs[3]])
    label_only = _group(pairs, np.flatnonzero(base[pairs[3]] == 0))

    indices = [pairs, with_mask, label_only]
    on_device = torch.from_numpy(np.concatenate([array.ravel() for array in indices]))
    on_device = on_device.to(class_logits.device, non_blocking=True).split([array.size for array in indices])
    layer, image, query, row = on_device[0].view(4, -1)
    spans = [slice(start, end) for start, end in pairwise(starts)]
    return Matches(
        layer=layer,
        image=image,
        query=query,
        row=row,
        class_id=class_ids[row],
        with_mask=on_device[1],
        label_only=on_device[2].view(label_only.shape),
        base_ids=tuple(frozenset(ids[span][base[span] == 1].tolist()) for span in spans),
        novel_ids=tuple(frozenset(ids[span][base[span] == 0].tolist()) for span in spans),
    )


def _solve(costs: list[np.ndarray], starts: np.ndarray) -> np.ndarray:
    """Assign every layer of every image: costs [L, N, M] each -> layer, image, query, row, int64 [4, T]."""
    pairs = []
    for image, layers in enumerate(costs):
        for layer, cost in enumerate(layers):
            if not np.isfinite(cost).all():
                raise FloatingPointError(
                    f"matching: the cost of image {image} of the batch at decoder layer {layer + 1} of "
                    f"{len(layers)} is not finite; its class or mask logits hold NaN or infinity"
                )
            query, column = linear_sum_assignment(cost)
            place = np.full_like(query, layer), np.full_like(query, image)
            pairs.append(np.stack([*place, query, starts[image] + column]))
    return np.concatenate(pairs, axis=1)


def _group(pairs: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Collect positions of the same layer and image in rows filled up with -1, int64 [S, Q]."""
    groups: dict[tuple[int, int], list[int]] = {}
    for position in positions.tolist():
        groups.setdefault((pairs[0, position], pairs[1, position]), []).append(position)
    width = max(map(len, groups.values()), default=1)
    rows = [group + [-1] * (width - len(group)) for group in groups.values()]
    return np.array(rows, dtype=np.int64).reshape(-1, width)
