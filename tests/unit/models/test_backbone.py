"""Backbones: shapes, frozen batch norm, parameter counts (equality with torchvision: tests/parity)."""

import math

import pytest
import torch

from simformer.models.backbone import build_backbone
from simformer.models.torchvision_ops import torchvision

NAMES = ["resnet50", "resnet18", "mobilenet_v2", "tiny"]
STRIDES = {"tiny": (4, 8, 16, 16)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(97, 61), (64, 96), (33, 32)])
def test_shapes_are_rounded_up(name, size):
    """Map i has ceil(size / stride) cells and the declared channels."""
    backbone = build_backbone(name).eval()
    with torch.no_grad():
        maps = backbone(torch.rand(2, 3, *size))
    expected = [
        (2, channels, math.ceil(size[0] / stride), math.ceil(size[1] / stride))
        for channels, stride in zip(backbone.channels, STRIDES.get(name, (4, 8, 16, 32)), strict=True)
    ]
    assert [tuple(m.shape) for m in maps] == expected


def test_resnet50_trains_its_53_convolutions_only():
    """Frozen batch norm: no parameter outside the convolutions (golden count)."""
    with torch.device("meta"):
        backbone = build_backbone("resnet50")
    parameters = list(backbone.parameters())
    assert len(parameters) == 53
    assert sum(p.numel() for p in parameters) == 23_454_912
    assert all(p.dim() == 4 and p.requires_grad for p in parameters)
    assert len(backbone.state_dict()) == 265


@pytest.mark.parametrize("name", ["resnet50", "resnet18", "mobilenet_v2"])
def test_frozen_norms_have_the_eps_of_the_pretrained_networks(name):
    """1e-5, and the buffers survive a training step unchanged."""
    backbone = build_backbone(name).train()
    norms = [m for m in backbone.modules() if isinstance(m, torchvision.ops.FrozenBatchNorm2d)]
    assert norms and all(norm.eps == 1e-5 for norm in norms)
    before = {k: v.clone() for k, v in backbone.named_buffers()}
    backbone(torch.rand(1, 3, 32, 32))[-1].sum().backward()
    assert all(torch.equal(v, before[k]) for k, v in backbone.named_buffers())


def test_tiny_is_small_and_trains_everywhere():
    """Below 0.25 M parameters; every one gets a gradient; no batch statistics."""
    torch.manual_seed(0)
    backbone = build_backbone("tiny")
    assert sum(p.numel() for p in backbone.parameters()) < 250_000
    assert not list(backbone.buffers())
    sum(m.square().mean() for m in backbone(torch.randn(2, 3, 96, 96))).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in backbone.parameters())


def test_unknown_name():
    """The settings object already rejects it; a direct caller is told too."""
    with pytest.raises(ValueError, match="resnet51"):
        build_backbone("resnet51")
