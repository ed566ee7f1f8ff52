"""Initial backbone weights: fetch them, check them strictly, load them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from simformer.errors import UserError
from simformer.models.backbone import Backbone, build_backbone
from simformer.models.torchvision_ops import torchvision

ENUMS = {
    "resnet50": "ResNet50_Weights",
    "resnet18": "ResNet18_Weights",
    "mobilenet_v2": "MobileNet_V2_Weights",
}
SHOWN = 5
BRING_A_FILE = "bring the file yourself and type  model.weights: PATH  (a torchvision state dict, .pth or .safetensors)"


def fetch_backbone_weights(backbone_name: str, source: str, destination: str | Path) -> None:
    """Put checked initial weights of a backbone into a safetensors file.

    Args:
        backbone_name: see `build_backbone`.
        source: 'imagenet' (torchvision's IMAGENET1K_V1 weights, downloaded and checked by hash), or a file.
        destination: the .safetensors file, replaced atomically.

    Raises: UserError when there are no such weights, they cannot be had, or they do not fit the backbone.
    """
    if source == "imagenet":
        state = _checked(backbone_name, _download(backbone_name), "torchvision IMAGENET1K_V1")
    else:
        state = load_backbone_weights(backbone_name, source)
    destination = Path(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}")
    try:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary)
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)


def load_backbone_weights(backbone_name: str, path: str | Path) -> dict[str, Tensor]:
    """Read weights from a file in torchvision's layout, or from one that `fetch_backbone_weights` wrote.

    The classifier and the counters of batch norm are dropped; everything else must match exactly.

    Args:
        backbone_name: see `build_backbone`.
        path: a state dict, .safetensors or anything that torch.load reads with weights_only.

    Returns: state dict of `build_backbone(backbone_name)`.

    Raises: UserError when the file cannot be read or does not fit the backbone.
    """
    return _checked(backbone_name, _read(Path(path)), str(path))


def initialise_backbone(backbone: Backbone, path: str | Path) -> None:
    """Load a file that `fetch_backbone_weights` wrote into a backbone.

    Raises: UserError when the file cannot be read or does not fit the backbone.
    """
    state = _read(Path(path))
    _compare(backbone.state_dict(), state, str(path), "backbone of this model")
    backbone.load_state_dict(state, strict=True)


def _download(backbone_name: str) -> Mapping[str, Tensor]:
    if backbone_name not in ENUMS:
        raise UserError(
            f"model.weights: there are no ImageNet weights for model.backbone '{backbone_name}'; "
            "type  model.weights: none"
        )
    weights = getattr(torchvision.models, ENUMS[backbone_name]).IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True, map_location="cpu")
    except Exception as error:  # network, proxy, disk, hash and format faults share no base class
        raise UserError(
            f"model.weights: could not get the ImageNet weights of {backbone_name} from {weights.url} "
            f"({_first_line(error)}); {BRING_A_FILE}"
        ) from error


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise UserError(f"model.weights: no file {path}; {BRING_A_FILE}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail in any way
        raise UserError(
            f"model.weights: cannot read {path} ({path.stat().st_size} bytes; {_first_line(error)}): it is "
            f"damaged, incomplete, or no state dict; fetch it again, or {BRING_A_FILE}"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(
            f"model.weights: {path} holds more than a state dict (expected a flat mapping from name to "
            f"tensor); save its state dict alone, or {BRING_A_FILE}"
        )
    return state


def _checked(backbone_name: str, state: Mapping[str, Tensor], origin: str) -> dict[str, Tensor]:
    kept = {
        name.removeprefix("features."): tensor
        for name, tensor in state.items()
        if not name.startswith(("fc.", "classifier.")) and not name.endswith(".num_batches_tracked")
    }
    with torch.device("meta"):
        expected = build_backbone(backbone_name).state_dict()
    _compare(expected, kept, origin, f"model.backbone '{backbone_name}'")
    return kept


def _compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], origin: str, network: str) -> None:
    """Raise UserError unless both state dicts have the same names and shapes."""
    problems = []
    if missing := expected.keys() - found.keys():
        problems.append(f"missing: {_some(missing)}")
    if unexpected := found.keys() - expected.keys():
        problems.append(f"unexpected: {_some(unexpected)}")
    wrong = []
    for name in expected.keys() & found.keys():
        shape, wanted = tuple(found[name].shape), tuple(expected[name].shape)
        if shape != wanted:
            wrong.append(f"{name} {shape} instead of {wanted}")
    if wrong:
        problems.append(f"wrong shape: {_some(wrong)}")
    if problems:
        raise UserError(
            f"model.weights: {origin} does not fit the {network} ({len(expected)} tensors expected). "
            f"{'; '.join(problems)}. Set model.backbone to the network of the file, or {BRING_A_FILE}"
        )


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
