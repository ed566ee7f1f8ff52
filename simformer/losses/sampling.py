"""Sampling of J pixels per image for the similarity losses (Sec. 3.4), for G pairs of images at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from simformer.config.settings import IGNORE, SimilaritySettings
from simformer.errors import UserError
from simformer.machine.copies import send

Generators = Sequence[torch.Generator]
"""One source of randomness for each pair: what it draws depends on no other pair, and not on the pairs' device."""


def sample_points(region: Tensor, count: int, generators: Generators, rarity: Tensor | None = None) -> Tensor:
    """Draw pixels without replacement, inside a region; what it lacks comes from outside it.

    Args:
        region: bool, or integers of which higher ones are drawn first, [G, ..., P].
        count: pixels to draw per region.
        generators: G sources of the random keys.
        rarity: weight of every pixel in the draw, > 0, [G, ..., P]; None: all are equally likely.

    Returns: indices into P, distinct within a region, int64 [G, ..., count].

    Raises: UserError when there are fewer than `count` pixels.
    """
    if count > region.shape[-1]:
        raise UserError(
            f"similarity.points: {count} pixels to draw, but the embedding grid has only {region.shape[-1]}; "
            "lower similarity.points or enlarge augment.crop"
        )
    keys = torch.stack([torch.rand(region.shape[1:], generator=g, device=g.device) for g in generators])
    keys = send(keys, region.device)
    if rarity is not None:  # the highest of u^(1/w) are a weighted draw (Efraimidis and Spirakis, 2006)
        keys = keys ** (rarity.amin(-1, keepdim=True) / rarity)
    return (keys + region).topk(count, dim=-1).indices


def sample_base_points(
    labels: Tensor,
    padding: Tensor,
    common_ids: Sequence[frozenset[int]],
    settings: SimilaritySettings,
    generators: Generators,
) -> Tensor:
    """Draw the pixels of L_sim: mostly of one base class that both images have, the others from the rest.

    Args:
        labels: class ids of the images at the embedding grid, IGNORE where not base, [G, 2, P].
        padding: True on padded pixels, bool [G, 2, P].
        common_ids: of each pair, base classes that both images have; one is drawn. Without any, all base pixels
            count.
        settings: J and the share of other pixels (padding excluded).
        generators: G sources of randomness.

    Returns: int64 [G, 2, J], the pixels of the common class (or, with the paper's pairs, classes) first.
    """
    if settings.pairs == "paper":
        return _sample_class_aware(labels, settings.points, generators)
    wanted = torch.tensor([_draw(ids, g) for ids, g in zip(common_ids, generators, strict=True)], dtype=labels.dtype)
    wanted = send(wanted, labels.device)[:, None, None]
    region = (labels == wanted) ^ (wanted == IGNORE)
    others = round(settings.points * settings.other_share)
    inside = sample_points(region, settings.points - others, generators)
    outside = sample_points(~region & ~padding, others, generators)
    return torch.cat([inside, outside], dim=-1)


def _sample_class_aware(labels: Tensor, count: int, generators: Generators) -> Tensor:
    """Draw base pixels, every class of an image as likely as any other: half of common classes, if there are any.

    No pixel is drawn twice. An image with fewer than `count` base pixels gives all of them, and others beside them.
    """
    ids, base = labels.long(), labels != IGNORE
    sizes = torch.zeros(*ids.shape[:2], IGNORE + 1, device=ids.device).scatter_add_(
        -1, ids, torch.ones_like(ids).float()
    )
    both = (sizes > 0).all(1, keepdim=True).expand_as(sizes).gather(-1, ids) & base
    rarity = 1 / sizes.gather(-1, ids)
    region = torch.where(both.any(-1, keepdim=True), both, base)
    rank = base.long() - 1  # 0 for base, -1 elsewhere: what common classes lack comes from other base classes
    shared = sample_points(rank + region, count // 2, generators, rarity)
    others = sample_points((rank + 1).scatter(-1, shared, -1), count - count // 2, generators, rarity)
    return torch.cat([shared, others], dim=-1)


def _draw(ids: frozenset[int], generator: torch.Generator) -> int:
    """Draw one of the ids; IGNORE if there is none."""
    if not ids:
        return IGNORE
    return sorted(ids)[int(torch.randint(len(ids), (), generator=generator, device=generator.device))]


def sample_novel_points(
    labels: Tensor, padding: Tensor, settings: SimilaritySettings, generators: Generators
) -> Tensor:
    """Draw the pixels of L_dist outside the base region: hidden novel, unlabelled and, by default, padded.

    If there are fewer than J, base pixels fill up, as in the released code.

    Args:
        labels: class ids of the images at the embedding grid, IGNORE where not base, [G, 2, P].
        padding: True on padded pixels, bool [G, 2, P].
        settings: J, and whether padding may be drawn.
        generators: G sources of randomness.

    Returns: int64 [G, 2, J].
    """
    region = (labels == IGNORE).long()
    if not settings.sample_padding:
        region = region.masked_fill(padding, -1)
    return sample_points(region, settings.points, generators)


def gather_points(maps: Tensor, points: Tensor) -> Tensor:
    """Read maps [..., D, P] at points [..., J], giving vectors [..., J, D]."""
    flat = maps.flatten(0, -3)
    vectors = flat[torch.arange(len(flat), device=maps.device)[:, None], :, points.flatten(0, -2)]
    return vectors.view(*points.shape, -1)
