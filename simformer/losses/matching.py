"""Bipartite matching of queries and classes of each image, once per decoder layer (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from simformer.config.settings import MatchingSettings
from simformer.data.targets import Target
from simformer.losses.focal_dice import focal_dice_pairwise
from simformer.losses.grid import to_grid
from simformer.losses.precision import full_precision
from simformer.machine.copies import send

NO_CLASS = -1
"""Id of a column that only fills up the cost tensor."""


@dataclass(frozen=True)
class Matches:
    """Matched (query, class) pairs of a batch, flat over decoder layers and images; T pairs in all.

    Attributes:
        layer, image, query: where the matched query is, int64 [T] each.
        row: its target, as a row of the targets of all images put one after another, int64 [T].
        class_id: class of that target, int64 [T].
        with_mask: positions among the T pairs whose target has a mask, int64 [Tm].
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
def matching_costs(
    class_logits: Tensor, mask_logits: Tensor, targets: Sequence[Target], settings: MatchingSettings
) -> Tensor:
    """Cost of giving each class of an image to each query: -p(class), and focal and dice against its mask.

    A class whose mask is empty at the embedding grid (always so without a mask) has the class cost only. All
    images and layers are one tensor, filled up to the largest number M of classes of an image: what lies beyond an
    image's own classes has no meaning.

    Args:
        class_logits: [L, B, N, K+1].
        mask_logits: [L, B, N, h, w].
        targets: targets of the B images, at pixel resolution.
        settings: weights of the three costs, and the order of the columns.

    Returns: [L, B, N, M], at least in single precision. Columns are in the target's order, or, without
        `remap_columns`, classes with a visible mask first (which callers then mistake for the target's order,
        as the released code does).
    """
    device, size = mask_logits.device, mask_logits.shape[-2:]
    ids = pad_sequence([t.class_ids for t in targets], batch_first=True, padding_value=NO_CLASS)
    own_mask = pad_sequence([t.has_mask for t in targets], batch_first=True)
    columns = send(torch.stack([ids, torch.where(own_mask, ids, NO_CLASS)]), device)
    labels = to_grid(torch.stack([t.label_map for t in targets]), size).flatten(1).short()
    masks = labels[:, None] == columns[1, :, :, None].short()
    visible = masks.any(-1)
    with full_precision(mask_logits):
        costs = []
        for logits in mask_logits.flatten(3):  # one layer at a time, which bounds the memory
            focal, dice = focal_dice_pairwise(logits, masks)
            costs.append(settings.focal * focal + settings.dice * dice)
        wanted = columns[0].clamp(min=0)[:, None].expand(-1, class_logits.shape[2], -1)
        probability = class_logits.float().softmax(-1).gather(-1, wanted.expand(len(class_logits), -1, -1, -1))
        cost = visible[:, None] * torch.stack(costs) - settings.cls * probability
        if settings.remap_columns:
            return cost
        order = torch.argsort(2 * (columns[0] == NO_CLASS) + ~visible, stable=True)
        return cost.gather(-1, order[:, None].expand_as(wanted).expand_as(cost))


def to_host(tensor: Tensor) -> np.ndarray:
    """Copy a tensor to the host. This is the one place of a training step that waits for the device."""
    return tensor.cpu().numpy()


def match(class_logits: Tensor, mask_logits: Tensor, targets: list[Target], settings: MatchingSettings) -> Matches:
    """Match queries and classes at least cost, independently for each image and decoder layer.

    The device is waited for once: the costs of the whole batch travel to the host together.

    Args:
        class_logits: [L, B, N, K+1].
        mask_logits: [L, B, N, h, w].
        targets: targets of the B images; an image may have no class, or more classes than queries.
        settings: weights of the matching cost.

    Returns: the Matches, on the logits' device; min(N, M) pairs per image and layer.

    Raises: FloatingPointError when a cost is not finite.
    """
    costs = to_host(matching_costs(class_logits, mask_logits, targets, settings))
    sizes = [len(t.class_ids) for t in targets]
    pairs = _solve([costs[:, image, :, :size] for image, size in enumerate(sizes)], np.cumsum([0, *sizes]))
    ids, base = (torch.cat([getattr(t, name) for t in targets]).numpy() for name in ("class_ids", "has_mask"))
    with_mask = np.flatnonzero(base[pairs[3]])
    label_only = _group(pairs, np.flatnonzero(~base[pairs[3]]))

    indices = [np.concatenate([pairs, ids[pairs[3]][None]]), with_mask, label_only]
    on_device = torch.from_numpy(np.concatenate([array.ravel() for array in indices]))
    on_device = send(on_device, class_logits.device).split([array.size for array in indices])
    layer, image, query, row, class_id = on_device[0].view(5, -1)
    return Matches(
        layer=layer,
        image=image,
        query=query,
        row=row,
        class_id=class_id,
        with_mask=on_device[1],
        label_only=on_device[2].view(label_only.shape),
        base_ids=tuple(frozenset(t.class_ids[t.has_mask].tolist()) for t in targets),
        novel_ids=tuple(frozenset(t.class_ids[~t.has_mask].tolist()) for t in targets),
    )


def _solve(costs: list[np.ndarray], starts: np.ndarray) -> np.ndarray:
    """Assign every layer of every image: costs [L, N, M] each -> layer, image, query, row, int64 [4, T]."""
    from scipy.optimize import (
        linear_sum_assignment,
    )  # here: it takes a third of a second, and not every command matches

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
