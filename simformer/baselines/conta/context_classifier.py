"""Classifier with one more input channel, the context map, at the input of the backbone's last stage (CONTA)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.conta.confounder import Confounder
from simformer.baselines.conta.context_attention import ContextAttention
from simformer.baselines.training.strided_backbone import strided_backbone
from simformer.models.backbone import Backbone

ENTRIES = {
    "resnet50": ("layer4.0.conv1", "layer4.0.downsample.0"),
    "resnet18": ("layer4.0.conv1", "layer4.0.downsample.0"),
    "mobilenet_v2": ("14.conv.0.0",),
    "tiny": ("block4.conv1", "block4.shortcut"),
}
"""Convolutions of each backbone that read the input of its last stage."""


class WidenedConvolution(nn.Module):
    """A convolution with one more input channel, whose slice of the weights starts at zero.

    The two slices are two convolutions that are added: with a zero slice the sum is what it was, bit for bit.

    Args:
        convolution: without bias; becomes the slice of the old channels.
    """

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.features = convolution
        geometry = {name: getattr(convolution, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        self.context = nn.Conv2d(1, convolution.out_channels, **geometry, bias=False)
        nn.init.zeros_(self.context.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C + 1, h, w], the context last, to [B, C', h', w']."""
        total: Tensor = self.features(x[:, :-1]) + self.context(x[:, -1:])
        return total


class ContextClassifier(nn.Module):
    """Classifier whose last stage also sees a context map.

    Args:
        backbone: name, see `build_backbone`; plain until `trunk.widen` is called.
        stride: of the maps, 8 or 16.
        num_classes: K.
        confounder: average masks, None for a control that has no attention.
    """

    def __init__(self, backbone: str, stride: int, num_classes: int, confounder: Confounder | None):
        super().__init__()
        self.trunk = Trunk(backbone, stride, confounder)
        self.head = nn.Conv2d(self.trunk.backbone.channels[-1], num_classes, 1, bias=False)

    @property
    def backbone(self) -> Backbone:
        """The backbone, which gets the initial weights."""
        return self.trunk.backbone

    def forward(self, images: Tensor, contexts: Tensor) -> Tensor:
        """Compute the raw class maps A.

        Args:
            images: normalised RGB, [B, 3, H, W].
            contexts: n M at the images' pixels, [B, 1, H, W].
        Returns: [B, K, h, w]; the logit of a class is their mean over h, w.
        """
        maps: Tensor = self.head(self.trunk(images, contexts))
        return maps


class Trunk(nn.Module):
    """Backbone and attention: what learns with the backbone's rate."""

    def __init__(self, backbone: str, stride: int, confounder: Confounder | None):
        super().__init__()
        self.name = backbone
        self.backbone = strided_backbone(backbone, stride)
        self.attention = None if confounder is None else ContextAttention(confounder)

    def widen(self) -> None:
        """Add the channel of the context map to the convolutions that read it; the weights must have been loaded."""
        for path in ENTRIES[self.name]:
            parent, _, child = path.rpartition(".")
            owner = self.backbone.get_submodule(parent)
            setattr(owner, child, WidenedConvolution(getattr(owner, child)))

    def forward(self, images: Tensor, contexts: Tensor) -> Tensor:
        """Compute the last feature map, [B, C, h, w], of a widened backbone; see `ContextClassifier`."""
        x, before_last = images, self.backbone.taps[-2]
        for name, layer in self.backbone.named_children():
            x = layer(x)
            if name == before_last:
                x = torch.cat([x, F.adaptive_avg_pool2d(contexts, x.shape[-2:])], dim=1)
        return x
