"""PSA's affinity network: it learns features that are similar within a class (Ahn and Kwak 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.training.strided_backbone import strided_backbone

REDUCED = (64, 128, 256)
"""Channels that are kept of the maps of stages 2, 3 and 4."""


class JoinedMaps(nn.Module):
    """Backbone at stride 8, its last three maps reduced and joined: what PSA's network shares with RETAB's boundaries.

    Args:
        backbone: name, see `build_backbone`.
        channels: C, of the result.
    """

    def __init__(self, backbone: str, channels: int):
        super().__init__()
        self.backbone = strided_backbone(backbone, 8)
        widths = zip(self.backbone.channels[1:], REDUCED, strict=True)
        reducers = [nn.Conv2d(width, kept, 1, bias=False) for width, kept in widths]
        self.reducers = nn.ModuleList(reducers)
        self.join = nn.Conv2d(sum(REDUCED), channels, 1, bias=False)
        for reducer in reducers:
            nn.init.kaiming_normal_(reducer.weight)

    def joined(self, images: Tensor) -> Tensor:
        """Map normalised RGB [B, 3, H, W] to [B, C, ceil(H / 8), ceil(W / 8)]."""
        maps = self.backbone(images)[1:]
        reduced = [F.elu(reduce(m)) for reduce, m in zip(self.reducers, maps, strict=True)]
        joined: Tensor = self.join(torch.cat(reduced, dim=1))
        return joined


class AffinityNetwork(JoinedMaps):
    """Joined maps as one feature vector v per cell; for its argument see `JoinedMaps`."""

    def __init__(self, backbone: str):
        super().__init__(backbone, sum(REDUCED))
        nn.init.xavier_uniform_(self.join.weight, gain=4)

    def forward(self, images: Tensor) -> Tensor:
        """Compute features v of normalised RGB [B, 3, H, W]: [B, 448, ceil(H / 8), ceil(W / 8)]."""
        return F.elu(self.joined(images))
