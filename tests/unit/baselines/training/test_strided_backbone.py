"""Backbones with fewer strides give the original's values, or torchvision's."""

import pytest
import torch

from simformer.baselines.training.strided_backbone import STEMS, strided_backbone
from simformer.models.backbone import build_backbone
from simformer.models.torchvision_ops import torchvision

NAMES = ["resnet18", "mobilenet_v2", "tiny"]
CHANNELS = {"resnet18": 512, "mobilenet_v2": 1280, "tiny": 96}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_dilated_maps_hold_the_values_of_the_original_network(name):
    """Every 4th (2nd) cell of a map at stride 8 is a cell of the original's map at stride 32 (16).

    Not so for 'tiny', whose group norm looks at all cells of a map; resnet50 is compared with torchvision's below.
    """
    torch.manual_seed(0)
    plain, fine = build_backbone(name).eval(), strided_backbone(name, 8).eval()
    fine.load_state_dict(plain.state_dict())
    images = torch.rand(1, 3, 97, 64)
    with torch.no_grad():
        for coarse, dense in zip(plain(images), fine(images), strict=True):
            step = max(1, -(-dense.shape[-1] // coarse.shape[-1]))
            found = dense[..., ::step, ::step]
            assert found.shape == coarse.shape
            assert torch.allclose(found, coarse, atol=1e-5 * float(coarse.abs().max()))
        assert dense.shape == (1, CHANNELS[name], 13, 8)


def test_dilated_tiny_has_stride_8():
    assert strided_backbone("tiny", 8)(torch.rand(1, 3, 97, 64))[-1].shape == (1, 96, 13, 8)


def test_dilated_resnet_is_torchvisions():
    torch.manual_seed(0)
    norm = torchvision.ops.FrozenBatchNorm2d
    reference = torchvision.models.resnet50(norm_layer=norm, replace_stride_with_dilation=[False, True, True]).eval()
    ours = strided_backbone("resnet50", 8).eval()
    ours.load_state_dict({k: v for k, v in reference.state_dict().items() if not k.startswith("fc.")})
    images = torch.rand(1, 3, 65, 48)
    with torch.no_grad():
        x = reference.maxpool(reference.relu(reference.bn1(reference.conv1(images))))
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(reference, stage)(x)
        assert torch.equal(ours(images)[-1], x)


@pytest.mark.parametrize("name", NAMES)
def test_stride_16_takes_the_last_stride_out_and_does_not_dilate(name):
    backbone = strided_backbone(name, 16).eval()
    with torch.no_grad():
        assert backbone(torch.rand(1, 3, 97, 64))[-1].shape == (1, CHANNELS[name], 7, 4)
    assert all(m.dilation == (1, 1) for m in backbone.modules() if isinstance(m, torch.nn.Conv2d))


@pytest.mark.parametrize("name", NAMES)
def test_stems_reach_stride_4(name):
    backbone = strided_backbone(name, 16).eval()
    layer, channels = STEMS[name]
    backbone.taps = (layer, *backbone.taps)
    with torch.no_grad():
        maps = backbone(torch.rand(1, 3, 97, 64))
    assert len(maps) == 5 and maps[0].shape == (1, channels, 25, 16)


@pytest.mark.parametrize("stages", range(5))
def test_frozen_stages_are_those_up_to_a_tap(stages):
    backbone = strided_backbone("tiny", 16)
    backbone.freeze(stages)
    trainable = {name.split(".")[0] for name, p in backbone.named_parameters() if p.requires_grad}
    everything = ["conv1", "norm1", "conv2", "norm2", "block1", "block2", "block3", "block4"]
    first = 0 if stages == 0 else 4 + stages
    assert trainable == set(everything[first:])
