"""The name map against lists written out by hand, and against the official model's table of tensors."""

import pytest
import torch

from simformer.config.settings import ModelSettings
from simformer.models.backbone import build_backbone
from simformer.models.checkpoint_names import (
    IGNORED,
    detectron2_name,
    official_name,
    official_tensor,
    older_layout,
)
from simformer.models.maskformer import MaskFormer
from simformer.models.simnet import SimNet
from tests.official_layout import backbone_names, head_names, simnet_names


@pytest.fixture(scope="module")
def shapes():
    """Official names and shapes of the paper's network with COCO-Stuff's 171 classes."""
    with torch.device("meta"):
        state = MaskFormer(171, ModelSettings()).state_dict()
    return {official_name(f"model.{name}"): tuple(tensor.shape) for name, tensor in state.items()}


def test_counts_of_the_official_model(shapes):
    """410 tensors, one of which (criterion.empty_weight) is a constant."""
    parts = ("backbone.", "sem_seg_head.predictor.")
    counts = [sum(name.startswith(part) for name in shapes) for part in parts]
    assert (*counts, len(shapes) - sum(counts)) == (265, 121, 23)


@pytest.mark.parametrize(
    ("name", "shape"),
    {
        "backbone.stem.conv1.weight": (64, 3, 7, 7),
        "backbone.stem.conv1.norm.running_var": (64,),
        "backbone.res2.0.conv1.weight": (64, 64, 1, 1),
        "backbone.res3.3.conv2.weight": (128, 128, 3, 3),
        "backbone.res4.5.conv3.norm.bias": (1024,),
        "backbone.res5.0.shortcut.weight": (2048, 1024, 1, 1),
        "backbone.res5.0.shortcut.norm.running_mean": (2048,),
        "sem_seg_head.adapter_1.weight": (256, 256, 1, 1),
        "sem_seg_head.adapter_3.weight": (256, 1024, 1, 1),
        "sem_seg_head.adapter_3.norm.weight": (256,),
        "sem_seg_head.layer_3.weight": (256, 256, 3, 3),
        "sem_seg_head.layer_4.weight": (256, 2048, 3, 3),
        "sem_seg_head.layer_4.norm.bias": (256,),
        "sem_seg_head.mask_features.bias": (256,),
        "sem_seg_head.predictor.input_proj.weight": (256, 2048, 1, 1),
        "sem_seg_head.predictor.query_embed.weight": (100, 256),
        "sem_seg_head.predictor.transformer.decoder.layers.5.self_attn.in_proj_weight": (768, 256),
        "sem_seg_head.predictor.transformer.decoder.layers.0.multihead_attn.out_proj.bias": (256,),
        "sem_seg_head.predictor.transformer.decoder.layers.0.linear1.weight": (2048, 256),
        "sem_seg_head.predictor.transformer.decoder.layers.0.linear2.weight": (256, 2048),
        "sem_seg_head.predictor.transformer.decoder.layers.0.norm3.weight": (256,),
        "sem_seg_head.predictor.transformer.decoder.norm.weight": (256,),
        "sem_seg_head.predictor.class_embed.weight": (172, 256),
        "sem_seg_head.predictor.mask_embed.layers.2.weight": (256, 256),
    }.items(),
)
def test_shapes_of_the_official_model(shapes, name, shape):
    assert shapes[name] == shape


@pytest.mark.parametrize("backbone", ["resnet50", "resnet18"])
def test_backbone(backbone):
    with torch.device("meta"):
        names = build_backbone(backbone).state_dict()
    pairs = dict(backbone_names(backbone))
    assert {name: detectron2_name(name) for name in names} == pairs
    assert len(set(pairs.values())) == len(pairs)


def test_whole_model():
    with torch.device("meta"):
        names = MaskFormer(5, ModelSettings(decoder_layers=2)).state_dict()
    pairs = {f"backbone.{ours}": f"backbone.{theirs}" for ours, theirs in backbone_names()}
    pairs |= dict(head_names(decoder_layers=2, newer=False))
    assert {name: official_name(f"model.{name}") for name in names} == pairs


def test_newer_layout():
    older, newer = (dict(head_names(6, newer=flag)) for flag in (False, True))
    assert older != newer
    assert {ours: older_layout(theirs) for ours, theirs in newer.items()} == older
    assert all(older_layout(name) == name for name in older.values())


def test_simnet():
    """The release's SimNet lies in the criterion and is made of 1x1 convolutions."""
    with torch.device("meta"):
        state = SimNet(256, 256).state_dict()
    pairs = {f"simnet.{ours}": theirs for ours, theirs in simnet_names()}
    assert {f"simnet.{name}": official_name(f"simnet.{name}") for name in state} == pairs
    shapes = {pairs[f"simnet.{n}"]: tuple(official_tensor(f"simnet.{n}", t).shape) for n, t in state.items()}
    prefix = "criterion.cro_pixel_sim_net."
    assert shapes[f"{prefix}fc_branch.layers.block0.sqz.weight"] == (256, 512, 1, 1)
    assert shapes[f"{prefix}fc_branch.layers.block2.layer2.weight"] == (256, 256, 1, 1)
    assert shapes[f"{prefix}fc_branch.layers.block0.bn1.num_batches_tracked"] == ()
    assert shapes[f"{prefix}out_head.weight"] == (2, 256, 1, 1)


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("criterion.empty_weight", True),
        ("criterion.ingore_th", True),  # the release's spelling
        ("pixel_mean", True),
        ("pixel_std", True),
        ("stem.fc.weight", True),
        ("backbone.res2.0.conv1.norm.num_batches_tracked", True),
        ("criterion.cro_pixel_sim_net.fc_branch.layers.block0.bn1.num_batches_tracked", False),
        ("criterion.other", False),
        ("pixel_mean_of_something", False),
        ("backbone.stem.conv1.weight", False),
    ],
)
def test_only_known_constants_are_ignored(name, ignored):
    assert bool(IGNORED.fullmatch(name)) is ignored
