"""Pixel-region correlation module of CPN: finds the cells that resemble the mean feature of each class."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from simformer.baselines.stride8.pixel_correlation import REDUCED, WIDTH
from simformer.baselines.stride8.settings import RegionSettings


class RegionCorrelation(nn.Module):
    """Weights of cells per class, by the affinity of the class's gathered feature and the cell's own.

    Args:
        settings: over what the weights sum to 1, and the released reshape of keys.
    """

    def __init__(self, settings: RegionSettings):
        super().__init__()
        self.settings = settings
        self.key = nn.Conv2d(3 + sum(REDUCED), WIDTH, 1, bias=False)
        nn.init.xavier_uniform_(self.key.weight, gain=4)

    def forward(self, features: Tensor, joined: Tensor, seed: Tensor) -> Tensor:
        """Compute the weights.

        F_k = sum_i softmax_i(c_k)(i) f_i; s_ki = ReLU(q(F_k)) . ReLU(g(f_i)) / sqrt(K + 1); then a softmax over the
        cells of each class, or over the classes of each cell.

        Args:
            features: f, [B, 195, h, w].
            joined: g(f), [B, 192, h, w], shared with the pixel correlation.
            seed: c, [B, K + 1, h, w].
        Returns: in [0, 1], of the seed's shape.
        """
        gathered = torch.einsum("bkn,bcn->bck", seed.flatten(2).softmax(dim=-1), features.flatten(2))
        key = self.key(gathered[..., None])[..., 0].relu()
        key = key.reshape(len(key), -1, WIDTH) if self.settings.prcm_scramble else key.transpose(1, 2)
        scores: Tensor = key @ joined.relu().flatten(2) / math.sqrt(seed.shape[1])
        return scores.softmax(dim=2 if self.settings.prcm_softmax == "pixel" else 1).reshape(seed.shape)
