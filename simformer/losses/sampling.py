"""Sampling of J pixels per image for the similarity losses (Sec. 3.3, Sec. 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from simformer.errors import UserError
from simformer.settings import IGNORE, SimilaritySettings


def sample_points(region: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw pixels uniformly, without replacement, inside a region; what it lacks comes from outside it.

    The draw depends on the generator's device only, not on the region's.

    Args:
        region: bool [..., P].
        count: pixels to draw per region.
        generator: source of the random keys.

    Returns: indices into P, distinct within a region, int64 [..., count].

    Raises: UserError when there are fewer than `count` pixels.
    """
    if count > region.shape[-1]:
        raise UserError(
            f"similarity.points: {count} pixels to draw, but the embedding grid has only {region.shape[-1]}; "
            "lower similarity.points or enlarge augment.crop"
        )
    keys = torch.rand(region.shape, generator=generator, device=generator.device)
    return (keys.to(region.device, non_blocking=True) + region).topk(count, dim=-1).indices


def sample_base_points(
    labels: Tensor,
    padding: Tensor,
    common_ids: frozenset[int],
    settings: SimilaritySettings,
    generator: torch.Generator,
) -> Tensor:
    """Draw the pixels of L_sim: mostly of one base class that both images have, the others from the rest.

    Args:
        labels: class ids of a pair of images at the embedding grid, IGNORE where not base, [2, P].
        padding: True on padded pixels, bool [2, P].
        common_ids: base classes that both images have; one is drawn. Without any, all base pixels count.
        settings: J and the share of other pixels (padding excluded).
        generator: source of randomness.

    Returns: int64 [2, J], the pixels of the common class first.
    """
    if common_ids:
        ids = sorted(common_ids)
        drawn = torch.randint(len(ids), (), generator=generator, device=generator.device)
        region = labels == ids[int(drawn)]
    else:
        region = labels != IGNORE
    others = round(settings.points * settings.other_share)
    inside = sample_points(region, settings.points - others, generator)
    outside = sample_points(~region & ~padding, others, generator)
    return torch.cat([inside, outside], dim=1)


def sample_novel_points(
    labels: Tensor, padding: Tensor, settings: SimilaritySettings, generator: torch.Generator
) -> Tensor:
    """Draw the pixels of L_dist outside the base region: hidden novel, unlabelled and, by default, padded.

    Args:
        labels: class ids of a pair of images at the embedding grid, IGNORE where not base, [2, P].
        padding: True on padded pixels, bool [2, P].
        settings: J, and whether padding may be drawn.
        generator: source of randomness.

    Returns: int64 [2, J].
    """
    region = labels == IGNORE
    if not settings.sample_padding:
        region = region & ~padding
    return sample_points(region, settings.points, generator)


def gather_points(maps: Tensor, points: Tensor) -> Tensor:
    """Read maps [2, D, P] at points [2, J], giving vectors [2, J, D]."""
    return maps[torch.arange(len(maps), device=maps.device)[:, None], :, points]
