"""Backbones: shapes, equality with torchvision, frozen batch norm, parameter counts."""

import math

import pytest
import torch

from simformer.models.backbone import build_backbone
from simformer.models.torchvision_ops import torchvision

NAMES = ["resnet50", "resnet18", "mobilenet_v2", "tiny"]
STRIDES = {"tiny": (4, 8, 16, 16)}


def randomise_norms(network: torch.nn.Module) -> None:
    """Give batch norm statistics and parameters that a wrong mapping would show."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)


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


@pytest.mark.parametrize("name", ["resnet50", "resnet18"])
def test_resnet_equals_torchvision_in_eval_mode(name):
    """Same state dict, same stage outputs; in train mode too, because batch norm is frozen."""
    torch.manual_seed(0)
    reference = getattr(torchvision.models, name)()
    randomise_norms(reference)
    reference.eval()
    backbone = build_backbone(name)
    state = {k: v for k, v in reference.state_dict().items() if not k.startswith("fc.")}
    backbone.load_state_dict(state, strict=True)
    images = torch.randn(2, 3, 70, 45)
    expected = []
    with torch.no_grad():
        x = reference.maxpool(reference.relu(reference.bn1(reference.conv1(images))))
        for layer in (reference.layer1, reference.layer2, reference.layer3, reference.layer4):
            x = layer(x)
            expected.append(x)
        for found, wanted in zip(backbone.train()(images), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


def test_mobilenet_equals_torchvision_in_eval_mode():
    """The last map is the output of torchvision's feature extractor; the taps end each resolution."""
    torch.manual_seed(0)
    reference = torchvision.models.mobilenet_v2()
    randomise_norms(reference)
    reference.eval()
    backbone = build_backbone("mobilenet_v2")
    backbone.load_state_dict(reference.features.state_dict(), strict=True)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        outputs = [images]
        for layer in reference.features:
            outputs.append(layer(outputs[-1]))
        last_of_stride = [[o for o in outputs[1:] if o.shape[-1] == 64 // stride][-1] for stride in (4, 8, 16, 32)]
        for found, wanted in zip(backbone(images), last_of_stride, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


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
