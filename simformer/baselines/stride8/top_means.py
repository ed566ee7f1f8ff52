"""Mean of the largest or smallest values of an image (online hard example mining of SEAM and CPN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def top_mean(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Mean over images of the mean of the largest values of each.

    Args:
        values: >= 0, [B, ...]; values that are left out because they are 0 do not matter.
        counts: how many values of each image count; where there are fewer, the missing ones count as 0.
    Returns: a scalar.
    """
    flat = values.flatten(1)
    means = [
        (row if count >= len(row) else row.topk(count, sorted=False).values).sum() / count
        for row, count in zip(flat, counts, strict=True)
    ]
    return torch.stack(means).mean()


def bottom_mean(values: Tensor, share: float) -> Tensor:
    """Mean over images of the mean of the smallest values of each.

    Args:
        values: [B, ...].
        share: of an image's values that count, in (0, 1].
    Returns: a scalar.
    """
    flat = values.flatten(1)
    return flat.topk(max(1, int(share * flat.shape[1])), largest=False, sorted=False).values.mean()
