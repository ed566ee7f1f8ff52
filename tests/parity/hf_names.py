"""Names of our MaskFormer's tensors in Hugging Face's MaskFormerForInstanceSegmentation (ResNet backbones)."""

import re
from collections.abc import Mapping

from torch import Tensor

ENCODER, DECODER = "model.pixel_level_module.encoder", "model.pixel_level_module.decoder"
TRANSFORMER = "model.transformer_module"
LAYER_PARTS = {
    "self_attention": "self_attn",
    "self_attention.out_proj": "self_attn.o_proj",
    "cross_attention": "encoder_attn",
    "cross_attention.out_proj": "encoder_attn.o_proj",
    "self_norm": "self_attn_layer_norm",
    "cross_norm": "encoder_attn_layer_norm",
    "feedforward_norm": "final_layer_norm",
    "expand": "mlp.fc1",
    "contract": "mlp.fc2",
}
OFFICIAL_LAYER_PARTS = {
    "self_attn": "self_attn",
    "self_attn.out_proj": "self_attn.o_proj",
    "multihead_attn": "encoder_attn",
    "multihead_attn.out_proj": "encoder_attn.o_proj",
    "norm1": "self_attn_layer_norm",
    "norm2": "encoder_attn_layer_norm",
    "norm3": "final_layer_norm",
    "linear1": "mlp.fc1",
    "linear2": "mlp.fc2",
}

RULES = (
    (r"backbone\.conv1", lambda m: f"{ENCODER}.embedder.embedder.convolution"),
    (r"backbone\.bn1", lambda m: f"{ENCODER}.embedder.embedder.normalization"),
    (r"backbone\.layer(\d)\.(\d)\.conv(\d)", lambda m: f"{_block(m)}.layer.{int(m[3]) - 1}.convolution"),
    (r"backbone\.layer(\d)\.(\d)\.bn(\d)", lambda m: f"{_block(m)}.layer.{int(m[3]) - 1}.normalization"),
    (r"backbone\.layer(\d)\.(\d)\.downsample\.0", lambda m: f"{_block(m)}.shortcut.convolution"),
    (r"backbone\.layer(\d)\.(\d)\.downsample\.1", lambda m: f"{_block(m)}.shortcut.normalization"),
    (r"pixel_decoder\.coarsest\.(\d)", lambda m: f"{DECODER}.fpn.stem.{m[1]}"),
    (r"pixel_decoder\.laterals\.(\d)\.(\d)", lambda m: f"{DECODER}.fpn.layers.{2 - int(m[1])}.proj.{m[2]}"),
    (r"pixel_decoder\.outputs\.(\d)\.(\d)", lambda m: f"{DECODER}.fpn.layers.{2 - int(m[1])}.block.{m[2]}"),
    (r"pixel_decoder\.embedding", lambda m: f"{DECODER}.mask_projection"),
    (r"transformer\.input_projection", lambda m: f"{TRANSFORMER}.input_projection"),
    (r"transformer\.query_embedding", lambda m: f"{TRANSFORMER}.queries_embedder"),
    (r"transformer\.norm", lambda m: f"{TRANSFORMER}.decoder.layernorm"),
    (r"transformer\.layers\.(\d)\.(.+)", lambda m: f"{TRANSFORMER}.decoder.layers.{m[1]}.{LAYER_PARTS[m[2]]}"),
    (r"class_head", lambda m: "class_predictor"),
    (r"mask_head\.(\d)", lambda m: f"mask_embedder.{int(m[1]) // 2}.0"),
)
"""Our module -> theirs; the last part of a name (weight, bias, running_mean, ...) is the same in both."""


OFFICIAL_RULES = (
    (r"backbone\.stem\.conv1", lambda m: f"{ENCODER}.embedder.embedder.convolution"),
    (r"backbone\.stem\.conv1\.norm", lambda m: f"{ENCODER}.embedder.embedder.normalization"),
    (r"backbone\.res(\d)\.(\d)\.conv(\d)", lambda m: f"{_block(m, 2)}.layer.{int(m[3]) - 1}.convolution"),
    (r"backbone\.res(\d)\.(\d)\.conv(\d)\.norm", lambda m: f"{_block(m, 2)}.layer.{int(m[3]) - 1}.normalization"),
    (r"backbone\.res(\d)\.(\d)\.shortcut", lambda m: f"{_block(m, 2)}.shortcut.convolution"),
    (r"backbone\.res(\d)\.(\d)\.shortcut\.norm", lambda m: f"{_block(m, 2)}.shortcut.normalization"),
    (r"sem_seg_head\.layer_4", lambda m: f"{DECODER}.fpn.stem.0"),
    (r"sem_seg_head\.layer_4\.norm", lambda m: f"{DECODER}.fpn.stem.1"),
    (r"sem_seg_head\.adapter_(\d)", lambda m: f"{DECODER}.fpn.layers.{3 - int(m[1])}.proj.0"),
    (r"sem_seg_head\.adapter_(\d)\.norm", lambda m: f"{DECODER}.fpn.layers.{3 - int(m[1])}.proj.1"),
    (r"sem_seg_head\.layer_([123])", lambda m: f"{DECODER}.fpn.layers.{3 - int(m[1])}.block.0"),
    (r"sem_seg_head\.layer_([123])\.norm", lambda m: f"{DECODER}.fpn.layers.{3 - int(m[1])}.block.1"),
    (r"sem_seg_head\.mask_features", lambda m: f"{DECODER}.mask_projection"),
    (r"sem_seg_head\.predictor\.input_proj", lambda m: f"{TRANSFORMER}.input_projection"),
    (r"sem_seg_head\.predictor\.query_embed", lambda m: f"{TRANSFORMER}.queries_embedder"),
    (r"sem_seg_head\.predictor\.transformer\.decoder\.norm", lambda m: f"{TRANSFORMER}.decoder.layernorm"),
    (
        r"sem_seg_head\.predictor\.transformer\.decoder\.layers\.(\d)\.(.+)",
        lambda m: f"{TRANSFORMER}.decoder.layers.{m[1]}.{OFFICIAL_LAYER_PARTS[m[2]]}",
    ),
    (r"sem_seg_head\.predictor\.class_embed", lambda m: "class_predictor"),
    (r"sem_seg_head\.predictor\.mask_embed\.layers\.(\d)", lambda m: f"mask_embedder.{m[1]}.0"),
)
"""The official code's module -> theirs, by which official weights gave the official logits (transformers 5.23)."""


def to_hugging_face(tensors: Mapping[str, Tensor], rules: tuple = RULES) -> dict[str, Tensor]:
    """Rename tensors (weights, or their gradients); the packed query, key, value of attention become three."""
    renamed = {}
    for name, tensor in tensors.items():
        module, _, last = name.rpartition(".")
        matches = ((re.fullmatch(pattern, module), replace) for pattern, replace in rules)
        module = next(replace(match) for match, replace in matches if match)
        if last.startswith("in_proj_"):
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                renamed[f"{module}.{letter}_proj.{last.removeprefix('in_proj_')}"] = part
        else:
            renamed[f"{module}.{last}"] = tensor
    return renamed


def _block(match: re.Match, first: int = 1) -> str:
    return f"{ENCODER}.encoder.stages.{int(match[1]) - first}.layers.{match[2]}"
