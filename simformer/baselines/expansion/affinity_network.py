"""PSA's affinity network: features of which those of one class are to be alike (Ahn and Kwak 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.training.strided_backbone import strided_backbone
from simformer.models.backbone import Backbone

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
        self.reducers = side_reducers(self.backbone)
        self.join = nn.Conv2d(sum(REDUCED), sum(REDUCED), 1, bias=False)
        initialise_reducers(self.reducers)
        nn.init.xavier_uniform_(self.join.weight, gain=4)

    def forward(self, images: Tensor) -> Tensor:
        """Compute features v.

        Args:
            images: normalised RGB, [B, 3, H, W].
        Returns: [B, 448, ceil(H / 8), ceil(W / 8)].
        """
        return F.elu(self.join(joined_maps(self.backbone, self.reducers, images)))


def side_reducers(backbone: Backbone) -> nn.ModuleList:
    """Return a 1x1 convolution for each of a backbone's last three maps."""
    pairs = zip(backbone.channels[1:], REDUCED, strict=True)
    return nn.ModuleList(nn.Conv2d(channels, kept, 1, bias=False) for channels, kept in pairs)


def initialise_reducers(reducers: nn.ModuleList) -> None:
    """Draw the weights of `side_reducers`."""
    for reducer in reducers:
        nn.init.kaiming_normal_(reducer.weight)


def joined_maps(backbone: Backbone, reducers: nn.ModuleList, images: Tensor) -> Tensor:
    """Return the last three maps of a backbone at stride 8, reduced and concatenated: [B, 448, h, w]."""
    maps = backbone(images)[1:]
    return torch.cat([F.elu(reduce(m)) for reduce, m in zip(reducers, maps, strict=True)], dim=1)
