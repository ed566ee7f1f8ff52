"""Initial backbone weights: fetch them, check them strictly, load them."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from simformer.atomic import atomic_write_bytes
from simformer.config.fields import TIMM
from simformer.errors import UserError, first_line
from simformer.models.backbone import build_backbone
from simformer.models.checkpoint_names import HEAD, detectron2_name
from simformer.models.timm_backbone import download, own_tensors
from simformer.models.weight_files import misfits, read_tensors

ENUMS = {
    "resnet50": "ResNet50_Weights",
    "resnet18": "ResNet18_Weights",
    "mobilenet_v2": "MobileNet_V2_Weights",
}
STALLED_SECONDS = 60.0
CLASSIFIER = re.compile(r"(stem\.)?fc\.|classifier\.")
BRING_A_FILE = (
    "bring the file yourself and type  model.weights: PATH  (torchvision's state dict, or detectron2's R-50.pkl of "
    "torchvision origin)"
)


def fetch_backbone_weights(backbone_name: str, source: str, destination: str | Path, sha256: str | None = None) -> None:
    """Put checked initial weights of a backbone into a safetensors file.

    Args:
        backbone_name: see `build_backbone`.
        source: 'imagenet' (torchvision's IMAGENET1K_V1 weights, downloaded and checked by hash), 'timm' (what timm
            publishes under the backbone's name), or a file.
        destination: the .safetensors file, replaced atomically.
        sha256: what the file must have, in hexadecimal; None if any will do.

    Raises: UserError when there are no such weights, they cannot be had, or they do not fit the backbone.
    """
    if source == "imagenet":
        state = _checked(backbone_name, _download(backbone_name), "torchvision IMAGENET1K_V1")
    elif source == "timm":
        state = _checked(backbone_name, download(backbone_name), "timm")
    else:
        _require_sha256(Path(source), sha256)
        state = load_backbone_weights(backbone_name, source)
    content = {name: tensor.contiguous() for name, tensor in state.items()}
    atomic_write_bytes(Path(destination), save(content))


def load_backbone_weights(backbone_name: str, path: str | Path) -> dict[str, Tensor]:
    """Read weights in torchvision's or detectron2's layout, or from a file that `fetch_backbone_weights` wrote.

    The classifier and the counters of batch norm are dropped; everything else must match exactly.

    Args:
        backbone_name: see `build_backbone`.
        path: a state dict, see `read_tensors`.

    Returns: state dict of `build_backbone(backbone_name)`.

    Raises: UserError when the file cannot be read or does not fit the backbone.
    """
    return _checked(backbone_name, _read(Path(path)), str(path))


def initialise_backbone(backbone: nn.Module, path: str | Path) -> None:
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
    from simformer.models.torchvision_ops import torchvision  # here: see `backbone.py`

    weights = getattr(torchvision.models, ENUMS[backbone_name]).IMAGENET1K_V1
    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(STALLED_SECONDS)  # PyTorch's download would wait for ever
        found: Mapping[str, Tensor] = weights.get_state_dict(
            progress=False, check_hash=True, weights_only=True, map_location="cpu"
        )
        return found
    except Exception as error:  # network, proxy, disk, hash and format faults share no base class
        raise UserError(
            f"model.weights: could not get the ImageNet weights of {backbone_name} from {weights.url} "
            f"({first_line(error)}); {BRING_A_FILE}"
        ) from error
    finally:
        socket.setdefaulttimeout(patience)


def _require_sha256(path: Path, expected: str | None) -> None:
    """Raise UserError if a file that is there has another sha256."""
    if expected is None or not path.is_file():
        return
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise UserError(
            f"model.weights: {path} has the sha256 {found}, but model.weights_sha256 is {expected}: another file, or a "
            "damaged one; name the right file, or change model.weights_sha256"
        )


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        return read_tensors(path)
    except UserError as error:
        raise UserError(f"model.weights: {error}; {BRING_A_FILE}") from None


def _checked(backbone_name: str, state: Mapping[str, Tensor], origin: str) -> dict[str, Tensor]:
    if any(name.startswith(f"{HEAD}.") for name in state):
        raise UserError(
            f"model.weights: {origin} holds a whole MaskFormer, not a backbone. To use it as a trained model, see "
            f"`simformer import_weights --help`; to train from ImageNet weights, {BRING_A_FILE}"
        )
    with torch.device("meta"):
        expected = build_backbone(backbone_name).state_dict()
    kept = (
        own_tensors(backbone_name, state) if backbone_name.startswith(TIMM) else _torchvision_tensors(expected, state)
    )
    _compare(expected, kept, origin, f"model.backbone '{backbone_name}'")
    return {name: tensor.to(expected[name].dtype) for name, tensor in kept.items()}


def _torchvision_tensors(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring weights in torchvision's or detectron2's layout to our names, the classifier and counters left out."""
    ours = {detectron2_name(name): name for name in expected} if "stem.conv1.weight" in state else {}
    return {
        ours.get(name, name.removeprefix("features.")): tensor
        for name, tensor in state.items()
        if not CLASSIFIER.match(name) and not name.endswith(".num_batches_tracked")
    }


def _compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], origin: str, network: str) -> None:
    """Raise UserError unless both state dicts have the same names, shapes and kinds of numbers, and finite values."""
    if problems := misfits(expected, found):
        raise UserError(
            f"model.weights: {origin} does not fit the {network} ({len(expected)} tensors expected): "
            f"{problems}. Set model.backbone to the network of the file, or {BRING_A_FILE}"
        )
