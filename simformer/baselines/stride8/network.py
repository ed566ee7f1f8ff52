"""Classifier at stride 8 whose middle stages are tapped for a pixel correlation: the network of SEAM and CPN."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.class_maps.cam import GRID_STRIDE
from simformer.baselines.stride8.pixel_correlation import PixelCorrelation, pixel_seed
from simformer.baselines.stride8.region_correlation import RegionCorrelation
from simformer.baselines.stride8.settings import RegionSettings
from simformer.baselines.training.strided_backbone import strided_backbone

STRIDE = 8


class TappedClassifier(nn.Module):
    """Backbone, a 1x1 convolution without bias to K class maps, and the modules that spread them.

    Args:
        backbone: name, see `build_backbone`.
        num_classes: K.
        dropout: share of the last stage's channels that are dropped in training.
        regions: of CPN's pixel-region correlation; None for SEAM's network, which has none.
    """

    def __init__(self, backbone: str, num_classes: int, dropout: float, regions: RegionSettings | None = None):
        super().__init__()
        self.backbone = strided_backbone(backbone, STRIDE)
        _, second, third, last = self.backbone.channels
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(last, num_classes, 1, bias=False)
        nn.init.xavier_uniform_(self.head.weight)
        self.correlation = PixelCorrelation((second, third))
        self.regions = None if regions is None else RegionCorrelation(regions)

    def class_maps(self, images: Tensor) -> Tensor:
        """Compute the raw class maps A alone, [B, K, h, w] with h = ceil(H / 8)."""
        maps: Tensor = self.head(self.dropout(self.backbone(images)[-1]))
        return maps

    def forward(self, images: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Compute raw and spread class maps.

        Args:
            images: normalised RGB, [B, 3, H, W].
            present: image-level labels, bool [B, K]; only these classes are spread.
        Returns: A [B, K, h, w], and r >= 0 [B, K + 1, h, w], whose channel 0 is the background.
        """
        _, *stages, last = self.backbone(images)
        raw = self.head(self.dropout(last))
        seed, features = pixel_seed(raw, present), self.correlation.features(images, tuple(stages))
        spread = self.correlation(features, seed)
        if self.regions is not None:
            spread = spread + self.regions(features, self.correlation.join(features), seed) * seed
        return raw, spread


def pooled_logits(raw: Tensor, size: tuple[int, int]) -> Tensor:
    """Class logits: the mean of the maps as enlarged to the image's size (cells at the border weigh less).

    Args:
        raw: [B, K, h, w].
        size: of the image, pixels.
    Returns: [B, K]; equal to `enlarged(raw, size).mean(dim=(2, 3))` without the enlarged maps.
    """
    rows, columns = (_pooling_weights(n, m, raw) for n, m in zip(raw.shape[-2:], size, strict=True))
    return torch.einsum("bkhw,h,w->bk", raw, rows, columns)


def enlarged(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize maps [B, C, h, w] bilinearly to [B, C, *size]; corner cells lie on corner pixels (`align_corners`)."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=True)


def _pooling_weights(cells: int, pixels: int, like: Tensor) -> Tensor:
    one_hot = torch.eye(cells, dtype=like.dtype, device=like.device)[None]
    return F.interpolate(one_hot, size=pixels, mode="linear", align_corners=True)[0].mean(dim=-1)


def view_response(network: TappedClassifier, images: Tensor, present: Tensor, spread: bool) -> Tensor:
    """Compute the class maps of a view on a grid of stride 4.

    Args:
        network: in eval mode.
        images: normalised RGB, [B, 3, H, W].
        present: image-level labels, bool [B, K].
        spread: the spread maps r instead of the raw ones A.
    Returns: [B, K, ceil(H / 4), ceil(W / 4)].
    """
    grid = tuple(math.ceil(side / GRID_STRIDE) for side in images.shape[-2:])
    maps = network(images, present)[1][:, 1:] if spread else network.class_maps(images)
    return enlarged(maps, grid)
