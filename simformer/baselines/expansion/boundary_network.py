"""IRN's boundary network: where one class ends and another begins, learnt from pairs of seeds (Ahn et al. 2019).

Its displacement branch serves instances only and shares no trained weight with this one, so it is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.training.strided_backbone import STEMS, strided_backbone

WIDTH, GROUPS = 32, 4


class BoundaryNetwork(nn.Module):
    """Backbone at stride 16, its five maps reduced, brought to stride 4 and joined to one logit per cell.

    Args:
        backbone: name, see `build_backbone`.
    """

    def __init__(self, backbone: str):
        super().__init__()
        self.backbone = strided_backbone(backbone, 16)
        stem, channels = STEMS[backbone]
        self.backbone.taps = (stem, *self.backbone.taps)
        self.side = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, WIDTH, 1, bias=False), nn.GroupNorm(GROUPS, WIDTH))
            for c in (channels, *self.backbone.channels)
        )
        self.join = nn.Conv2d(WIDTH * len(self.side), 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute boundary logits.

        Args:
            images: normalised RGB, [B, 3, H, W].
        Returns: [B, ceil(H / 4), ceil(W / 4)].
        """
        maps = [side(m) for side, m in zip(self.side, self.backbone(images), strict=True)]
        size = maps[1].shape[-2:]
        fine = [F.interpolate(m, size=size, mode="bilinear", align_corners=False).relu() for m in maps]
        logits: Tensor = self.join(torch.cat(fine, dim=1))
        return logits[:, 0]
