"""Files as the official codes write them, made from our networks by name lists written out in plain loops."""

import pickle
from collections import OrderedDict

NORM = ("weight", "bias", "running_mean", "running_var")
LINEAR = ("weight", "bias")
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet18": (2, 2, 2, 2)}


def backbone_names(backbone="resnet50"):
    """(ours, detectron2's) names of a ResNet."""
    pairs = [("conv1.weight", "stem.conv1.weight")] + [(f"bn1.{n}", f"stem.conv1.norm.{n}") for n in NORM]
    for stage, blocks in enumerate(BLOCKS[backbone], start=1):
        for block in range(blocks):
            ours, theirs = f"layer{stage}.{block}", f"res{stage + 1}.{block}"
            for conv in (1, 2, 3) if backbone == "resnet50" else (1, 2):
                pairs.append((f"{ours}.conv{conv}.weight", f"{theirs}.conv{conv}.weight"))
                pairs += [(f"{ours}.bn{conv}.{n}", f"{theirs}.conv{conv}.norm.{n}") for n in NORM]
            if block == 0 and (stage > 1 or backbone == "resnet50"):
                pairs.append((f"{ours}.downsample.0.weight", f"{theirs}.shortcut.weight"))
                pairs += [(f"{ours}.downsample.1.{n}", f"{theirs}.shortcut.norm.{n}") for n in NORM]
    return pairs


def head_names(decoder_layers, newer):
    """(ours, MaskFormer's) names of pixel decoder, transformer and heads."""
    pixel = "sem_seg_head.pixel_decoder" if newer else "sem_seg_head"
    modules = {"coarsest": "layer_4"}
    modules |= {f"laterals.{i}": f"adapter_{i + 1}" for i in range(3)}
    modules |= {f"outputs.{i}": f"layer_{i + 1}" for i in range(3)}
    pairs = []
    for ours, theirs in modules.items():
        pairs.append((f"pixel_decoder.{ours}.0.weight", f"{pixel}.{theirs}.weight"))
        pairs += [(f"pixel_decoder.{ours}.1.{n}", f"{pixel}.{theirs}.norm.{n}") for n in LINEAR]
    pairs += [(f"pixel_decoder.embedding.{n}", f"{pixel}.mask_features.{n}") for n in LINEAR]
    head = "sem_seg_head.predictor"
    pairs.append(("transformer.query_embedding.weight", f"{head}.query_embed.weight"))
    pairs += [(f"transformer.input_projection.{n}", f"{head}.input_proj.{n}") for n in LINEAR]
    pairs += [(f"transformer.norm.{n}", f"{head}.transformer.decoder.norm.{n}") for n in LINEAR]
    parts = {"expand": "linear1", "contract": "linear2"}
    parts |= {"self_norm": "norm1", "cross_norm": "norm2", "feedforward_norm": "norm3"}
    for layer in range(decoder_layers):
        place = f"transformer.layers.{layer}", f"{head}.transformer.decoder.layers.{layer}"
        for ours, theirs in {"self_attention": "self_attn", "cross_attention": "multihead_attn"}.items():
            for n in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"):
                pairs.append((f"{place[0]}.{ours}.{n}", f"{place[1]}.{theirs}.{n}"))
        pairs += [(f"{place[0]}.{o}.{n}", f"{place[1]}.{t}.{n}") for o, t in parts.items() for n in LINEAR]
    pairs += [(f"class_head.{n}", f"{head}.class_embed.{n}") for n in LINEAR]
    pairs += [(f"mask_head.{2 * i}.{n}", f"{head}.mask_embed.layers.{i}.{n}") for i in range(3) for n in LINEAR]
    return pairs


def simnet_names():
    """(ours, the release's) names of SimNet, in the release's order (which the golden numbers follow too)."""
    pairs = []
    for block in range(3):
        ours, theirs = f"blocks.{block}", f"fc_branch.layers.block{block}"
        pairs += [(f"{ours}.linear{i}.{n}", f"{theirs}.layer{i}.{n}") for i in (1, 2) for n in LINEAR]
        pairs += [
            (f"{ours}.norm{i}.{n}", f"{theirs}.bn{i}.{n}") for i in (1, 2) for n in (*NORM, "num_batches_tracked")
        ]
        if block == 0:
            pairs += [(f"projection.{n}", f"{theirs}.sqz.{n}") for n in LINEAR]
    pairs += [(f"head.{n}", f"out_head.{n}") for n in LINEAR]
    return [(ours, f"criterion.cro_pixel_sim_net.{theirs}") for ours, theirs in pairs]


def official_state(model, simnet=None, newer=True):
    """State dict of our networks as the official code would save it, constants included."""
    backbone = "resnet50" if "layer1.0.conv3.weight" in model.backbone.state_dict() else "resnet18"
    ours, state = model.state_dict(), OrderedDict()
    for name, theirs in backbone_names(backbone):
        state[f"backbone.{theirs}"] = ours[f"backbone.{name}"]
    for name, theirs in head_names(len(model.transformer.layers), newer):
        state[theirs] = ours[name]
    state["criterion.empty_weight"] = ours["class_head.bias"].new_ones(len(ours["class_head.bias"]))
    if simnet is not None:
        for name, theirs in simnet_names():
            tensor = simnet.state_dict()[name]
            state[theirs] = tensor[:, :, None, None] if tensor.dim() == 2 else tensor
        state["criterion.ingore_th"] = ours["class_head.bias"].new_tensor(-2.9444)
    return state


def as_arrays(state):
    """The same as numpy arrays, as in published .pkl files."""
    return {name: tensor.numpy() for name, tensor in state.items()}


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 did: as text of one byte per character."""

    def save_bytes(self, data):
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(data)

    dispatch = pickle._Pickler.dispatch | {bytes: save_bytes}
