"""Maps of the classes of each image alone: at 171 classes, of which some eight are present, the rest are zeros."""

from __future__ import annotations

import torch
from torch import Tensor


def present_maps(maps: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Gather the maps of each image's classes, in the order of their ids.

    Args:
        maps: [B, K, h, w].
        present: image-level labels, bool [B, K].
    Returns: (maps [B, P, h, w], real [B, P, 1, 1] of the maps' type), P being the largest number of classes of an
        image; images of fewer classes are filled up with other maps, where `real` is 0.
    """
    width = max(1, int(present.sum(dim=1).max()))
    chosen = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :width]
    rows = torch.arange(len(maps), device=maps.device)[:, None]
    return maps[rows, chosen], present.gather(1, chosen)[..., None, None].to(maps.dtype)
