"""Pixel correlation module (SEAM, Sec. 3.4): class maps spread over pixels of similar features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-5
REDUCED = (64, 128)
"""Channels that are kept of the maps of stages 2 and 3; the normalised RGB image is the third part."""
WIDTH = 192
"""Channels of the features whose cosine is the affinity."""
BLOCK_ENTRIES = 2**26
"""Entries of the affinity matrix that are held at a time (256 MiB); larger grids are done in blocks of columns."""


@torch.no_grad()
def pixel_seed(raw: Tensor, present: Tensor) -> Tensor:
    """What the module spreads: each cell's strongest class among those of the image, and a background.

    c_k = ReLU(r_k - e) / (max r_k + e) with r = ReLU(A); c_0 = 1 - max_k c_k; of the classes only the largest one is
    kept per cell. Classes that the image does not have take no part: with 171 of them, any whose map has one positive
    cell would be normalised to 1 and take cells away.

    Args:
        raw: class maps A, [B, K, h, w].
        present: image-level labels, bool [B, K].
    Returns: in [0, 1], [B, K + 1, h, w], channel 0 being the background; no gradient.
    """
    positive = raw.relu() * present[..., None, None]
    scores = (positive - EPSILON).relu() / (positive.amax(dim=(-2, -1), keepdim=True) + EPSILON)
    strongest = scores.amax(dim=1, keepdim=True)
    return torch.cat([1 - strongest, scores * (scores == strongest)], dim=1)


def correlate(features: Tensor, seed: Tensor, block_entries: int = BLOCK_ENTRIES) -> Tensor:
    """Replace each cell's scores by an average over the cells whose features have a positive cosine with its own.

    W_ij = ReLU(cos(g_i, g_j)); out_k(j) = sum_i c_k(i) W_ij / (sum_i W_ij + e). The cell itself takes part.

    Args:
        features: g, [B, C, h, w].
        seed: c, [B, K + 1, h, w].
        block_entries: numbers of W that may be held at a time.
    Returns: of the seed's shape.
    """
    count, _, height, width = seed.shape
    cells = height * width
    unit = features.flatten(2)
    unit = unit / (unit.norm(dim=1, keepdim=True) + EPSILON)
    flat, columns = seed.flatten(2), max(1, block_entries // (count * cells))
    blocks = []
    for first in range(0, cells, columns):
        weights = (unit.transpose(1, 2) @ unit[..., first : first + columns]).relu()
        blocks.append(flat @ weights / (weights.sum(dim=1, keepdim=True) + EPSILON))
    return torch.cat(blocks, dim=-1).reshape(seed.shape)


class PixelCorrelation(nn.Module):
    """Features of cells from the image and two stages of a backbone, and the maps spread by them.

    Args:
        channels: of the maps of stages 2 and 3.
    """

    def __init__(self, channels: tuple[int, int]):
        super().__init__()
        reducers = [nn.Conv2d(c, kept, 1, bias=False) for c, kept in zip(channels, REDUCED, strict=True)]
        self.reducers = nn.ModuleList(reducers)
        self.join = nn.Conv2d(3 + sum(REDUCED), WIDTH, 1, bias=False)
        for reducer in reducers:
            nn.init.kaiming_normal_(reducer.weight)
        nn.init.xavier_uniform_(self.join.weight, gain=4)

    def features(self, images: Tensor, stages: tuple[Tensor, Tensor]) -> Tensor:
        """Compute f, the image beside the reduced stages; the backbone gets no gradient from it.

        Args:
            images: normalised RGB, [B, 3, H, W].
            stages: maps of stages 2 and 3, [B, C, h, w] each.
        Returns: [B, 195, h, w].
        """
        colours = F.interpolate(images, size=stages[0].shape[-2:], mode="bilinear", align_corners=True)
        reduced = [reduce(stage.detach()).relu() for reduce, stage in zip(self.reducers, stages, strict=True)]
        return torch.cat([colours, *reduced], dim=1)

    def forward(self, features: Tensor, seed: Tensor) -> Tensor:
        """Spread a seed [B, K + 1, h, w] by the affinity of features f [B, 195, h, w]."""
        return correlate(self.join(features), seed)
