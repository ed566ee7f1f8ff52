"""Backbones against torchvision's classifiers in eval mode: same file, same maps at strides 4, 8, 16 and 32."""

import pytest
import torch

from simformer.models.backbone import build_backbone
from simformer.models.torchvision_ops import torchvision
from simformer.models.weights import fetch_backbone_weights, initialise_backbone


def torchvision_maps(network, images):
    """Last map of each stride, in torchvision's own order of layers."""
    if hasattr(network, "features"):
        stages = list(network.features)
    else:
        stem = torch.nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
        stages = [stem, network.layer1, network.layer2, network.layer3, network.layer4]
    maps, x = {}, images
    for stage in stages:
        x = stage(x)
        maps[images.shape[-1] // x.shape[-1]] = x
    return [maps[stride] for stride in (4, 8, 16, 32)]


@pytest.mark.parametrize("name", ["resnet50", "resnet18", "mobilenet_v2"])
def test_four_maps_through_a_weight_file(tmp_path, name):
    """Also in train mode, because batch norm is frozen; differences relative to the largest value of a map."""
    torch.manual_seed(0)
    reference = getattr(torchvision.models, name)().eval()
    for module in reference.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    torch.save(reference.state_dict(), tmp_path / "file.pth")
    fetch_backbone_weights(name, str(tmp_path / "file.pth"), tmp_path / "weights.safetensors")
    backbone = build_backbone(name).train()
    initialise_backbone(backbone, tmp_path / "weights.safetensors")
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for actual, expected in zip(backbone(images), torchvision_maps(reference, images), strict=True):
            assert actual.shape == expected.shape
            assert (actual - expected).abs().max() <= 5e-6 * expected.abs().max()
