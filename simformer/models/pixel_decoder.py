"""Pixel decoder: a feature pyramid that ends in the pixel embeddings E at stride 4 (Sec. 3.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

NORM_GROUPS = 32


class PixelDecoder(nn.Module):
    """Feature pyramid network (Lin et al. 2017) in MaskFormer's form: group norm after each convolution.

    Args:
        channels: channels of the backbone's four maps, fine to coarse.
        dim: C, width of the pyramid and of the pixel embeddings.
    """

    def __init__(self, channels: tuple[int, ...], dim: int):
        super().__init__()
        *finer, coarsest = channels
        self.coarsest = _conv_norm(coarsest, dim, 3)
        self.laterals = nn.ModuleList(_conv_norm(c, dim, 1) for c in finer)
        self.outputs = nn.ModuleList(_conv_norm(dim, dim, 3) for _ in finer)
        self.embedding = nn.Conv2d(dim, dim, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init_conv(module)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Fuse the backbone's maps, coarse to fine.

        Args:
            features: four maps at strides 4, 8, 16 and 32, [B, channels[i], h_i, w_i].

        Returns: pixel embeddings E, [B, C, h, w] at stride 4 (any real number: no norm, no activation).
        """
        *finer, coarsest = features
        y = self.coarsest(coarsest).relu()
        for feature, lateral, output in reversed(list(zip(finer, self.laterals, self.outputs, strict=True))):
            detail = lateral(feature)
            y = detail + F.interpolate(y, size=detail.shape[-2:], mode="nearest")
            y = output(y).relu()
        embeddings: Tensor = self.embedding(y)
        return embeddings


def init_conv(conv: nn.Conv2d) -> None:
    """Initialise a convolution as MaskFormer does: weight uniform in +-sqrt(3 / fan_in), bias 0."""
    nn.init.kaiming_uniform_(conv.weight, a=1)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def _conv_norm(channels_in: int, dim: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, dim, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(NORM_GROUPS, dim))
