"""DeepLab-v2 (Chen et al. 2017): the segmentation network between two rounds of CONTA."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.training.strided_backbone import strided_backbone
from simformer.config.settings import IGNORE

STRIDE = 8
INITIAL_DEVIATION = 0.01


class DeepLab(nn.Module):
    """Backbone at stride 8 and atrous spatial pyramid pooling: parallel dilated convolutions, summed.

    Args:
        backbone: name, see `build_backbone`.
        num_classes: K.
        atrous: dilations of the parallel convolutions.
    """

    def __init__(self, backbone: str, num_classes: int, atrous: Sequence[int]):
        super().__init__()
        self.backbone = strided_backbone(backbone, STRIDE)
        channels = self.backbone.channels[-1]
        self.pyramid = nn.ModuleList(nn.Conv2d(channels, num_classes, 3, padding=d, dilation=d) for d in atrous)
        for weight, bias in zip(*self.pyramid_parameters(), strict=True):
            nn.init.normal_(weight, std=INITIAL_DEVIATION)
            nn.init.zeros_(bias)

    def pyramid_parameters(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the weights and the biases of the dilated convolutions."""
        named = list(self.pyramid.named_parameters())
        weights, biases = ([p for name, p in named if name.endswith(kind)] for kind in ("weight", "bias"))
        return weights, biases

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised RGB [B, 3, H, W] to class logits [B, K, ceil(H / 8), ceil(W / 8)]."""
        features = self.backbone(images)[-1]
        first, *others = [convolution(features) for convolution in self.pyramid]
        logits: Tensor = sum(others, start=first)
        return logits


def multiscale_logits(network: DeepLab, images: Tensor, views: Sequence[float]) -> list[Tensor]:
    """Logits of an image at several sizes, brought to the grid of the first, and last their maximum.

    Args:
        network: stride 8.
        images: normalised RGB, [B, 3, H, W].
        views: factors of the images' size.
    Returns: one [B, K, h, w] per view, and the maximum over them if there are several.
    """
    found: list[Tensor] = []
    for factor in views:
        size = [max(1, round(side * factor)) for side in images.shape[-2:]]
        seen = images if factor == 1 else F.interpolate(images, size=size, mode="bilinear", align_corners=False)
        logits = network(seen)
        if found and logits.shape != found[0].shape:
            logits = F.interpolate(logits, size=found[0].shape[-2:], mode="bilinear", align_corners=False)
        found.append(logits)
    return found if len(found) == 1 else [*found, torch.stack(found).amax(dim=0)]


def segmentation_loss(logits: Sequence[Tensor], label_maps: Tensor) -> Tensor:
    """Cross-entropy of the labelled cells, summed over views and their maximum.

    Args:
        logits: what `multiscale_logits` returns.
        label_maps: class id or IGNORE, uint8 [B, H, W]; a cell has the label of the pixel nearest to its centre.
    Returns: mean over the labelled cells, a scalar; 0 if there is none.
    """
    sizes = zip(logits[0].shape[-2:], label_maps.shape[-2:], strict=True)
    rows, columns = (_centres(cells, pixels) for cells, pixels in sizes)
    cells = label_maps[:, rows][:, :, columns].long()
    known = (cells != IGNORE).sum().clamp_min(1)
    return sum(F.cross_entropy(view, cells, ignore_index=IGNORE, reduction="sum") for view in logits) / known


def _centres(cells: int, pixels: int) -> Tensor:
    """Pixel at the centre of each of so many cells."""
    return ((torch.arange(cells) + 0.5) * pixels / cells).long().clamp_max(pixels - 1)
