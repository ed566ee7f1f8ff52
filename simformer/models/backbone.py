"""Backbone networks: four feature maps at strides 4, 8, 16 and 32 (Sec. 3.2; ResNet-50 in the paper)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from simformer.config.fields import TIMM
from simformer.models.timm_backbone import TimmBackbone

STAGES = 4
TINY_STEM = 16
TINY_CHANNELS = (24, 32, 64, 96)


class Backbone(nn.Module):
    """A chain of layers of which four outputs are kept.

    Args:
        layers: the chain, in order of execution; names become the keys of the state dict.
        taps: names of the layers that give the maps at strides 4, 8, 16 and 32.
        channels: channels of those four maps.
    """

    def __init__(self, layers: dict[str, nn.Module], taps: tuple[str, ...], channels: tuple[int, int, int, int]):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.taps = taps
        self.channels = channels

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps.

        Args:
            images: normalised RGB, [B, 3, H, W].

        Returns: four maps [B, channels[i], ceil(H / s), ceil(W / s)] with s = 4, 8, 16, 32 ('tiny': 16 twice).
        """
        maps = []
        x = images
        for name, layer in self.named_children():
            x = layer(x)
            if name in self.taps:
                maps.append(x)
        return tuple(maps)

    def freeze(self, stages: int) -> None:
        """Make the layers up to the end of a number of stages constant; 0 leaves everything trainable."""
        ends = self.taps[-STAGES:]
        done = 0
        for name, layer in self.named_children():
            if done == stages:
                return
            layer.requires_grad_(False)
            done += name in ends

    def undecayed(self) -> set[int]:
        """Return ids of the parameters without weight decay, beside those that `NO_DECAY` tells: none."""
        return set()


def build_backbone(name: str) -> Backbone | TimmBackbone:
    """Build a backbone with random weights.

    The torchvision networks have frozen batch norm (statistics and affine parameters are buffers, eps 1e-5):
    they are of use with pre-trained weights only. 'tiny' (group norm) is made to be trained from scratch.

    Args:
        name: 'resnet50', 'resnet18', 'mobilenet_v2', 'tiny', or 'timm/<name>' (ModelSettings.backbone).

    Raises: ValueError for any other name; UserError as `TimmBackbone`.
    """
    if name.startswith(TIMM):
        return TimmBackbone(name)
    if name in ("resnet50", "resnet18"):
        return _resnet(name)
    if name == "mobilenet_v2":
        return _mobilenet_v2()
    if name == "tiny":
        return _tiny()
    raise ValueError(f"unknown backbone {name!r}")


def _resnet(name: str) -> Backbone:
    from simformer.models.torchvision_ops import torchvision  # here: it takes a second, which `tiny` need not pay

    network = getattr(torchvision.models, name)(norm_layer=frozen_batch_norm())
    layers = {key: layer for key, layer in network.named_children() if key not in ("avgpool", "fc")}
    channels = (256, 512, 1024, 2048) if name == "resnet50" else (64, 128, 256, 512)
    return Backbone(layers, ("layer1", "layer2", "layer3", "layer4"), channels)


def _mobilenet_v2() -> Backbone:
    from simformer.models.torchvision_ops import torchvision

    network = torchvision.models.mobilenet_v2(norm_layer=frozen_batch_norm())
    # The last layers before each halving of the resolution, and the final 1x1 convolution.
    return Backbone(dict(network.features.named_children()), ("3", "6", "13", "18"), (24, 32, 96, 1280))


@cache
def frozen_batch_norm() -> type[nn.Module]:
    """Return torchvision's frozen batch norm, which keeps the precision of its input.

    Torchvision's own multiplies by buffers of single precision: under autocast every feature map would grow to
    single precision, and shrink again in the next convolution.
    """
    from simformer.models.torchvision_ops import torchvision

    class FrozenBatchNorm2d(torchvision.ops.FrozenBatchNorm2d):  # type: ignore[misc]  # torchvision has no types
        def forward(self, x: Tensor) -> Tensor:
            if x.dtype not in (torch.bfloat16, torch.float16):
                unchanged: Tensor = super().forward(x)
                return unchanged
            scale: Tensor = self.weight * (self.running_var + self.eps).rsqrt()
            shift = self.bias - self.running_mean * scale
            scale, shift = (t.to(x.dtype)[:, None, None] for t in (scale, shift))
            return torch.addcmul(shift, x, scale)

    return FrozenBatchNorm2d


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group norm around a shortcut, which is a 1x1 where the shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(channels // 8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(channels // 8, channels)
        same = stride == 1 and channels_in == channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, channels_in, H, W] to [B, channels, ceil(H / stride), ceil(W / stride)]."""
        y = self.norm1(self.conv1(x)).relu()
        total: Tensor = self.norm2(self.conv2(y)) + self.shortcut(x)
        return total.relu()


def _tiny() -> Backbone:
    first, second, third, fourth = TINY_CHANNELS
    layers = {
        "conv1": nn.Conv2d(3, TINY_STEM, 3, stride=2, padding=1, bias=False),
        "norm1": nn.GroupNorm(TINY_STEM // 8, TINY_STEM),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(TINY_STEM, first, 3, stride=2, padding=1, bias=False),
        "norm2": nn.GroupNorm(first // 8, first),
        "relu2": nn.ReLU(),
        "block1": ResidualBlock(first, first, 1),
        "block2": ResidualBlock(first, second, 2),
        "block3": ResidualBlock(second, third, 2),
        "block4": ResidualBlock(third, fourth, 1),  # keeps stride 16: stride 32 would leave 3 x 3 cells of 96 x 96
    }
    backbone = Backbone(layers, ("block1", "block2", "block3", "block4"), TINY_CHANNELS)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return backbone
