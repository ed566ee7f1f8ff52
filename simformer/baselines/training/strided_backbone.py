"""Backbones with a finer last map: strides taken out, and dilation in their place (IRN, PSA)."""

from __future__ import annotations

from torch import nn

from simformer.models.backbone import Backbone, build_backbone

STEMS = {"resnet50": ("maxpool", 64), "resnet18": ("maxpool", 64), "mobilenet_v2": ("2", 24), "tiny": ("relu2", 24)}
"""Layer of each backbone that first reaches stride 4, and its channels."""
TAP_STRIDES = (4, 8, 16, 32)
"""Strides of the four maps at most; 'tiny' has 16 twice."""


def strided_backbone(name: str, stride: int) -> Backbone:
    """Build a backbone whose maps are nowhere coarser than a stride, with random weights.

    At 16 only strides are taken out (IRN). At 8 all later 3x3 convolutions are dilated instead, so that every cell
    of the original's map keeps its value (PSA; torchvision's `replace_stride_with_dilation`).

    Args:
        name: see `build_backbone`.
        stride: 8 or 16.
    """
    backbone = build_backbone(name)
    assert isinstance(backbone, Backbone), "`dilatable` refuses all others"
    dilation, stage = 1, 0
    for layer_name, layer in backbone.named_children():
        for module in layer.modules():
            if isinstance(module, nn.Conv2d) and TAP_STRIDES[stage] > stride:
                dilation *= _without_stride(module, dilation, dilate=stride == 8)
        stage += layer_name in backbone.taps
    return backbone


def _without_stride(convolution: nn.Conv2d, dilation: int, dilate: bool) -> int:
    """Take a convolution's stride out; returns the factor by which later ones are to be dilated."""
    pointwise = convolution.kernel_size == (1, 1)
    removed, convolution.stride = convolution.stride[0], (1, 1)
    if not pointwise:
        convolution.dilation = (dilation, dilation)
        convolution.padding = tuple(dilation * (side // 2) for side in convolution.kernel_size)
    return removed if dilate and not pointwise else 1
