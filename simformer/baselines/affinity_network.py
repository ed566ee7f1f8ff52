"""PSA's affinity network: features of which those of one class are to be alike (Ahn and Kwak 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.strides import strided_backbone

REDUCED = (64, 128, 256)
"""Channels that are kept of the maps of stages 2, 3 and 4."""


class AffinityNetwork(nn.Module):
    """Backbone at stride 8, its last three maps reduced and joined to one feature vector per cell.

    Args:
        backbone: name, see `build_backbone`.
    """

    def __init__(self, backbone: str):
        super().__init__()
        self.backbone = strided_backbone(backbone, 8)
        self.reducers = nn.ModuleList(
            nn.Conv2d(c, kept, 1, bias=False) for c, kept in zip(self.backbone.channels[1:], REDUCED, strict=True)
        )
        self.join = nn.Conv2d(sum(REDUCED), sum(REDUCED), 1, bias=False)
        for reducer in self.reducers:
            nn.init.kaiming_normal_(reducer.weight)
        nn.init.xavier_uniform_(self.join.weight, gain=4)

    def forward(self, images: Tensor) -> Tensor:
        """Compute features v.

        Args:
            images: normalised RGB, [B, 3, H, W].
        Returns: [B, 448, ceil(H / 8), ceil(W / 8)].
        """
        maps = self.backbone(images)[1:]
        joined = torch.cat([F.elu(reduce(m)) for reduce, m in zip(self.reducers, maps, strict=True)], dim=1)
        return F.elu(self.join(joined))
