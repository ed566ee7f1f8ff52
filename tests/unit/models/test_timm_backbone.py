"""Backbones of timm: maps, frozen parts, decay, weights, and every name that is refused."""

import hashlib
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from simformer.config.settings import ModelSettings, OptimSettings
from simformer.errors import UserError
from simformer.models import timm_backbone, weights
from simformer.models.backbone import build_backbone
from simformer.models.maskformer import MaskFormer
from simformer.training.schedule import parameter_groups
from tests.tiny_timm import timm

VIT, SWIN = "timm/tiny_vit_patch14", "timm/tiny_swin"
CONVNEXT, RESNET = "timm/test_convnext", "timm/test_resnet"
NAMES = [VIT, SWIN, CONVNEXT, RESNET]
SMALL = {"queries": 5, "dim": 32, "heads": 2, "feedforward_dim": 32, "decoder_layers": 1, "simnet_dim": 16}


def test_a_network_may_be_built_where_gradients_are_off():
    """As in a program that loads its models under `torch.no_grad`."""
    with torch.no_grad():
        found = build_backbone(VIT)
    expected = build_backbone(VIT)
    assert [p.requires_grad for p in found.parameters()] == [p.requires_grad for p in expected.parameters()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(97, 61), (64, 96), (33, 32)])
def test_shapes_are_those_of_every_backbone(name, size):
    backbone = build_backbone(name).eval()
    with torch.no_grad():
        maps = backbone(torch.rand(2, 3, *size))
    cells = [tuple(-(-side // stride) for side in size) for stride in (4, 8, 16, 32)]
    assert [tuple(m.shape) for m in maps] == [(2, c, *cell) for c, cell in zip(backbone.channels, cells, strict=True)]


def test_a_pyramid_is_the_networks_own():
    backbone = build_backbone(CONVNEXT).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        found = backbone(images)
        own = backbone.network.forward_intermediates(backbone._normed(images), intermediates_only=True)
    assert all(torch.equal(a, b) for a, b in zip(found, own, strict=True))


def test_the_pyramid_of_a_vit_is_made_from_four_blocks_by_resampling():
    """At 56 x 84 pixels, 4 x 6 patches, nothing is resized before; the first block becomes the finest map."""
    backbone = build_backbone(VIT).eval()
    images = torch.randn(1, 3, 56, 84)
    with torch.no_grad():
        found = backbone(images)
        blocks = backbone.network.forward_intermediates(images, norm=True, intermediates_only=True)
        normed = backbone.network.norm(backbone.network.forward_intermediates(images)[0])
    assert [b.shape[-2:] for b in blocks] == [(4, 6)] * 4
    for mine, block, size in zip(found, blocks, [(14, 21), (7, 11), (4, 6), (2, 3)], strict=True):
        assert torch.equal(mine, F.interpolate(block, size=size, mode="bilinear", align_corners=False))
    assert normed.shape == (1, 25, 32)  # 24 patches and the class token, which no map holds


def test_images_of_a_vit_are_resized_to_whole_patches():
    """48 x 50 pixels are nearest to 3 x 4 patches of 14; 5 x 5 to one."""
    backbone, seen = build_backbone(VIT).eval(), []
    backbone.network.patch_embed.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[-2:])))
    with torch.no_grad():
        for size in ((48, 50), (5, 5), (56, 84)):
            backbone(torch.randn(1, 3, *size))
    assert seen == [(42, 56), (14, 14), (56, 84)]


def test_position_embeddings_follow_the_size_of_the_image():
    """A ViT without a blank spot: shifted positions change the maps, at the size of its grid and at another."""
    backbone = build_backbone(VIT).eval()
    for size in (56, 112):
        images = torch.randn(1, 3, size, size)
        with torch.no_grad():
            before = backbone(images)[3]
            backbone.network.pos_embed.add_(torch.randn_like(backbone.network.pos_embed))
            assert not torch.allclose(before, backbone(images)[3])


def test_images_come_with_the_mean_and_deviation_that_the_network_expects():
    """timm's test networks expect 0.5 and 0.5: black is -1, white 1."""
    backbone = build_backbone(CONVNEXT)
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    for value, expected in ((0.0, -1.0), (255.0, 1.0)):
        image = ((value - mean) / std)[None, :, None, None].expand(1, 3, 4, 4)
        torch.testing.assert_close(backbone._normed(image), torch.full((1, 3, 4, 4), expected))
    images = torch.randn(1, 3, 4, 4)
    assert build_backbone(VIT)._normed(images) is images


def test_batch_norms_are_frozen_in_training():
    backbone = build_backbone(RESNET).train()
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    sum(m.square().mean() for m in backbone(torch.randn(2, 3, 64, 64))).backward()
    assert all(torch.equal(value, before[name]) for name, value in backbone.named_buffers())
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and not any(p.requires_grad for m in norms for p in m.parameters())
    assert all(p.grad is not None for p in backbone.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_that_is_trained_gets_a_gradient(name):
    """What no map needs is not trained: several processes would wait for its gradient."""
    backbone = build_backbone(name).train()
    sum(m.square().mean() for m in backbone(torch.randn(2, 3, 64, 64))).backward()
    assert all((p.grad is not None) == p.requires_grad for p in backbone.parameters())
    assert any(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize(
    ("name", "stages", "first"),
    [
        (CONVNEXT, 0, "network.stem.0.weight"),
        (CONVNEXT, 1, "network.stages.1."),
        (SWIN, 2, "network.layers.2."),
        (VIT, 2, "network.blocks.2."),
        (RESNET, 3, "network.layer4."),
        (VIT, 4, None),
        (CONVNEXT, 4, None),
    ],
)
def test_frozen_stages_are_all_that_the_first_maps_are_made_from(name, stages, first):
    settings = ModelSettings(backbone=name, weights="file.pth", frozen_stages=stages, **SMALL)
    model = MaskFormer(3, settings)
    trained = [key for key, p in model.backbone.named_parameters() if p.requires_grad]
    assert trained[0].startswith(first) if first else not trained
    if 0 < stages < 4:
        maps = model.backbone.train()(torch.randn(1, 3, 64, 64))
        assert [m.requires_grad for m in maps] == [k >= stages for k in range(4)]
    assert all(p.requires_grad for p in model.pixel_decoder.parameters())


def test_stages_of_the_papers_network_are_frozen_by_the_same_key():
    with torch.device("meta"):
        model = MaskFormer(3, ModelSettings(frozen_stages=2))
    frozen = {name.split(".")[0] for name, p in model.backbone.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "layer1", "layer2"}


def test_decay_and_rates_of_a_vit():
    """Vectors, tokens and position embeddings are not decayed; all of the backbone learns at its own rate."""
    model = MaskFormer(3, ModelSettings(backbone=VIT, weights="none", **SMALL))
    groups = parameter_groups([model], model.backbone, OptimSettings(), model.backbone.undecayed())
    names = {id(p): name for name, p in model.named_parameters()}
    of = {names[id(p)]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert of["backbone.network.blocks.0.attn.qkv.weight"] == (pytest.approx(1e-5), 1e-4)
    for name in ("pos_embed", "cls_token", "blocks.0.ls1.gamma", "blocks.0.attn.qkv.bias", "blocks.0.norm1.weight"):
        assert of[f"backbone.network.{name}"] == (pytest.approx(1e-5), 0.0), name
    assert of["class_head.bias"] == (1e-4, 1e-4)
    assert len(of) == len(names)


@pytest.mark.parametrize("name", [CONVNEXT, SWIN, VIT, RESNET])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_with_timms_names_becomes_a_backbone(name, suffix, tmp_path):
    """The classifier and what lies behind the last map are passed over; the result is itself a source."""
    own = timm.create_model(name.removeprefix("timm/"), num_classes=7).state_dict()
    source, target = tmp_path / f"given{suffix}", tmp_path / "initial.safetensors"
    torch.save(own, source) if suffix == ".pth" else save_file(own, source)
    weights.fetch_backbone_weights(name, str(source), target)
    backbone = build_backbone(name)
    weights.initialise_backbone(backbone, target)
    state = backbone.state_dict()
    assert all(torch.equal(state[key], own[key.removeprefix("network.")]) for key in state)
    again = weights.load_backbone_weights(name, target)
    assert again.keys() == load_file(target).keys() == state.keys()


def test_the_names_of_dinov2s_authors_are_read_as_timm_reads_them(tmp_path):
    own = timm.create_model("tiny_vit_patch14").state_dict()
    torch.save(own | {"mask_token": torch.zeros(1, 32)}, tmp_path / "dinov2.pth")
    found = weights.load_backbone_weights(VIT, tmp_path / "dinov2.pth")
    assert all(torch.equal(found[f"network.{key}"], value) for key, value in own.items())


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(timm.create_model("test_convnext2").state_dict(), tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth does not fit the model\.backbone 'timm/test_convnext'"):
        weights.load_backbone_weights(CONVNEXT, tmp_path / "other.pth")


def test_a_file_with_another_sha256_is_refused(tmp_path):
    path, target = tmp_path / "given.pth", tmp_path / "out.safetensors"
    torch.save(timm.create_model("test_convnext").state_dict(), path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    weights.fetch_backbone_weights(CONVNEXT, str(path), target, found)
    target.unlink()
    with pytest.raises(UserError, match=f"has the sha256 {found}, but model.weights_sha256 is {'0' * 64}"):
        weights.fetch_backbone_weights(CONVNEXT, str(path), target, "0" * 64)
    assert not target.exists()


def test_weights_by_timms_name_are_downloaded_by_timm(monkeypatch, tmp_path):
    create, asked = timm.create_model, []

    def published(name, pretrained=False, **options):
        asked.append((name, pretrained))
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", published)
    weights.fetch_backbone_weights("timm/test_convnext.r160_in1k", "timm", tmp_path / "w.safetensors")
    assert ("test_convnext.r160_in1k", True) in asked
    weights.initialise_backbone(build_backbone("timm/test_convnext.r160_in1k"), tmp_path / "w.safetensors")


def test_a_download_that_fails_names_the_ways_out(monkeypatch, tmp_path):
    def cut(name, pretrained=False, **options):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(timm, "create_model", cut)
    with pytest.raises(UserError) as error:
        timm_backbone.download("timm/test_convnext.r160_in1k")
    assert str(error.value) == (
        "model.weights: could not get timm's weights of 'timm/test_convnext.r160_in1k' (no route to host); try again "
        "where there is internet, or bring the file yourself and type  model.weights: PATH"
    )


def test_a_network_without_published_weights_says_so():
    with pytest.raises(UserError, match="no weights under the name 'timm/tiny_swin'; type  model.weights: none"):
        timm_backbone.download(SWIN)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("timm/convnext_tinny", ["timm 1.", "has no such network; did you mean 'timm/convnext_tiny'?", "list_models"]),
        ("timm/xyzzy", ["has no such network. This lists them"]),
        (
            "timm/convnext_tiny.fb_in1",
            ["no weights 'fb_in1' of this network; did you mean", "tiny.fb_in1k'"],
        ),
        ("timm/levit_128s", ["maps at the strides 16, 32, 64; expected a network", "4, 8, 16 and 32", "(ViT)"]),
        ("timm/mixer_s32_224", ["takes no images of 96 x 160 pixels", "doesn't match model (224)"]),
    ],
)
def test_what_cannot_be_a_backbone_is_refused_in_one_line(name, parts):
    with torch.device("meta"), pytest.raises(UserError) as error:
        build_backbone(name)
    text = str(error.value)
    assert text.startswith(f"model.backbone '{name}': ") and "\n" not in text
    assert all(part in text for part in parts), text


def test_without_timm_the_line_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"the package timm cannot be imported .*; type  pip install .*'\.\[timm\]'"):
        build_backbone(CONVNEXT)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"backbone": "resnet05"}, "is 'resnet05'; did you mean 'resnet50'"),
        ({"backbone": "timm/"}, "Expected resnet50, resnet18, mobilenet_v2, tiny, or timm/NAME"),
        ({"backbone": "timm/../x"}, "Expected resnet50"),
        ({"backbone": VIT}, "'imagenet' are no weights of model.backbone 'timm/tiny_vit_patch14'; write timm, none"),
        ({"weights": "timm"}, "'timm' are no weights of model.backbone 'resnet50'; write imagenet, none"),
        ({"weights": "none", "frozen_stages": 1}, "frozen_stages would keep random weights"),
        ({"weights_sha256": "0" * 64}, "weights_sha256 needs a file in model.weights, found 'imagenet'"),
        ({"weights": "Timm"}, "would be the path of a file; write timm"),
    ],
)
def test_settings_that_do_not_fit_each_other(model, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        ModelSettings(**model)
