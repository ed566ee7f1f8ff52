"""Names of our tensors in official checkpoints: MaskFormer, the SimFormer release, detectron2's ResNets.

One map, from our names to theirs; to read a file, the map of the network's own names is turned around. The
names are those of the released code (facebookresearch/MaskFormer; bcmi/SimFormer-Weak-Shot-Semantic-Segmentation,
whose SimNet lies in the criterion); SimNet's linear layers are 1x1 convolutions there.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import Tensor

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]

HEAD, PREDICTOR, DECODER = "sem_seg_head", "sem_seg_head.predictor", "sem_seg_head.predictor.transformer.decoder"
SIMNET = "criterion.cro_pixel_sim_net"

BACKBONE_RULES: Rules = (
    (r"^(?=conv1|bn1)", "stem."),
    (r"^layer(\d)", lambda m: f"res{int(m[1]) + 1}"),
    (r"\bbn(\d)", r"conv\1.norm"),
    (r"downsample\.0", "shortcut"),
    (r"downsample\.1", "shortcut.norm"),
)
MODEL_RULES: Rules = (
    (r"^backbone\.(.*)", lambda m: f"backbone.{detectron2_name(m[1])}"),
    (r"^pixel_decoder\.coarsest\.", f"{HEAD}.layer_4."),
    (r"^pixel_decoder\.laterals\.(\d)\.", lambda m: f"{HEAD}.adapter_{int(m[1]) + 1}."),
    (r"^pixel_decoder\.outputs\.(\d)\.", lambda m: f"{HEAD}.layer_{int(m[1]) + 1}."),
    (r"(adapter_\d|layer_\d)\.0\.", r"\1."),
    (r"(adapter_\d|layer_\d)\.1\.", r"\1.norm."),
    (r"^pixel_decoder\.embedding\.", f"{HEAD}.mask_features."),
    (r"^transformer\.input_projection\.", f"{PREDICTOR}.input_proj."),
    (r"^transformer\.query_embedding\.", f"{PREDICTOR}.query_embed."),
    (r"^transformer\.(norm|layers)\.", rf"{DECODER}.\1."),
    (r"\.self_attention\.", ".self_attn."),
    (r"\.cross_attention\.", ".multihead_attn."),
    (r"\.expand\.", ".linear1."),
    (r"\.contract\.", ".linear2."),
    (r"\.self_norm\.", ".norm1."),
    (r"\.cross_norm\.", ".norm2."),
    (r"\.feedforward_norm\.", ".norm3."),
    (r"^class_head\.", f"{PREDICTOR}.class_embed."),
    (r"^mask_head\.(\d)\.", lambda m: f"{PREDICTOR}.mask_embed.layers.{int(m[1]) // 2}."),
)
SIMNET_RULES: Rules = (
    (r"^projection\.", "fc_branch.layers.block0.sqz."),
    (r"^blocks\.(\d)\.linear(\d)\.", r"fc_branch.layers.block\1.layer\2."),
    (r"^blocks\.(\d)\.norm(\d)\.", r"fc_branch.layers.block\1.bn\2."),
    (r"^head\.", "out_head."),
)

IGNORED = re.compile(
    r"criterion\.(empty_weight|ingore_th)|pixel_mean|pixel_std|(backbone\.)?stem\.fc\..*|"
    r"backbone\..*\.num_batches_tracked"
)
"""Constants of the reference set-up that our settings hold, ImageNet's classifier, counters of frozen norms."""


def detectron2_name(name: str) -> str:
    """Name of a ResNet backbone's tensor in detectron2, e.g. layer1.0.bn2.bias -> res2.0.conv2.norm.bias."""
    return _rename(name, BACKBONE_RULES)


def official_name(name: str) -> str:
    """Name of a model file's tensor ('model.*' or 'simnet.*') in an official checkpoint, older layout."""
    network, _, rest = name.partition(".")
    if network == "model":
        return _rename(rest, MODEL_RULES)
    return f"{SIMNET}.{_rename(rest, SIMNET_RULES)}"


def older_layout(name: str) -> str:
    """Reduce the newer layout's sem_seg_head.pixel_decoder.* to sem_seg_head.*; other names stay."""
    return name.replace(f"{HEAD}.pixel_decoder.", f"{HEAD}.", 1)


def official_tensor(name: str, tensor: Tensor) -> Tensor:
    """Shape a model file's tensor as in an official checkpoint: SimNet's matrices [a, b] become [a, b, 1, 1]."""
    return tensor[:, :, None, None] if name.startswith("simnet.") and tensor.dim() == 2 else tensor


def _rename(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
