"""Weights of whole models to and from the official code: MaskFormer and the SimFormer release (docs/weights.md)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from simformer.atomic import atomic_write_bytes
from simformer.config.layers import RunConfig
from simformer.config.settings import InferenceSettings
from simformer.data.identity import Identity, require_dataset
from simformer.data.labels import LabelSet
from simformer.errors import UserError
from simformer.models.checkpoint_names import (
    HEAD,
    IGNORED,
    PREDICTOR,
    SIMNET,
    official_name,
    official_tensor,
    older_layout,
)
from simformer.models.maskformer import MaskFormer
from simformer.models.model_file import REMEDY, read_model, write_model
from simformer.models.simnet import SimNet
from simformer.models.weight_files import misfits, read_tensors

BACKBONES = ("resnet50", "resnet18")
"""Backbones that the official layout can name."""


def import_weights(
    source: Path,
    config: RunConfig,
    classes: Sequence[str],
    destination: Path,
    labels: LabelSet | None = None,
    inference: InferenceSettings | None = None,
) -> None:
    """Turn an official checkpoint into a model file, as if `simformer train` had written it.

    Every tensor must be there, none may be left over, and all shapes must fit. Constants that the settings
    hold (class weights, pixel statistics, the ignore score) are passed over. SimNet is taken over if present.

    Args:
        source: MaskFormer's .pkl, older or newer layout, or a training .pth of MaskFormer or SimFormer.
        config: the run whose place the model takes; `model.*` must describe the file's network.
        classes: class names in the order of the file's class head, which does not name them.
        destination: the model file, for `evaluate`, `pseudo_labels` and `gallery`.
        labels: what it was trained on; without it the file may be measured, but makes no labels.
        inference: test-time sizes for `simformer predict`.

    Raises: UserError when the file cannot be read, or does not fit the network, the classes or the labels.
    """
    identity = Identity(tuple(classes), None, None, str(source))
    if labels is not None:
        require_dataset(identity, labels.identity)
        labels.require(config.labels)
        identity = labels.identity
    _check_backbone(config)
    found = {older_layout(name): tensor for name, tensor in _read(source).items() if not IGNORED.fullmatch(name)}
    rows = len(found.get(f"{PREDICTOR}.class_embed.bias", ()))
    if rows and rows != len(classes) + 1:
        raise UserError(
            f"{source}: its class head has {rows} outputs, {rows - 1} classes and 'no object', but the dataset has "
            f"{len(classes)} classes; give --data the dataset that the file was trained on"
        )
    with_simnet = any(name.startswith(f"{SIMNET}.") for name in found)
    ours = _network(config, len(classes), with_simnet)
    expected = {official_name(name): official_tensor(name, tensor) for name, tensor in ours.items()}
    if problems := misfits(expected, found):
        network = f"model.backbone '{config.settings.model.backbone}', {len(expected)} tensors"
        raise UserError(
            f"{source}: does not fit the network of the configuration ({network}): {problems}. Nothing was written. "
            "Give --config a run whose model.* settings are those of the file"
        )
    tensors = {name: found[official_name(name)].reshape(t.shape).to(t.dtype) for name, t in ours.items()}
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    write_model(destination, tensors, config, identity, inference, origin={"file": source.name, "sha256": digest})


def export_weights(model: Path, destination: Path) -> None:
    """Write a model file as an official checkpoint: {'model': state dict}, for torch.load.

    It has the older layout's names, which the official loaders rename by themselves.

    Args:
        model: file written by `train` or `import_weights`.
        destination: the .pth, replaced atomically.

    Raises: UserError when the model cannot be read, is damaged, or has a backbone that the official code lacks.
    """
    stored = read_model(model, any_version=True)
    _check_backbone(stored.config)
    with_simnet = any(name.startswith("simnet.") for name in stored.tensors)
    ours = _network(stored.config, len(stored.identity.classes), with_simnet)
    if problems := misfits(ours, stored.tensors):
        raise UserError(f"{model}: its tensors are not those of its network: {problems}; {REMEDY}")
    state = {official_name(name): official_tensor(name, tensor) for name, tensor in stored.tensors.items()}
    buffer = io.BytesIO()
    torch.save({"model": state}, buffer)
    atomic_write_bytes(destination, buffer.getvalue())


def _read(source: Path) -> dict[str, Tensor]:
    tensors = read_tensors(source)
    if not any(name.startswith(f"{HEAD}.") for name in tensors):
        raise UserError(
            f"{source}: no MaskFormer ({len(tensors)} tensors, none of them {HEAD}.*). A backbone alone is read by "
            f"`simformer weights`, or by  model.weights: {source}  in the dataset's file"
        )
    return tensors


def _check_backbone(config: RunConfig) -> None:
    backbone = config.settings.model.backbone
    if backbone not in BACKBONES:
        raise UserError(
            f"model.backbone '{backbone}' does not exist in the official code; it must be one of {', '.join(BACKBONES)}"
        )


def _network(config: RunConfig, num_classes: int, with_simnet: bool) -> dict[str, Tensor]:
    """Names and shapes of a model file's tensors, without memory for their values."""
    settings = config.settings.model
    with torch.device("meta"):
        networks: dict[str, nn.Module] = {"model": MaskFormer(num_classes, settings)}
        if with_simnet:
            networks["simnet"] = SimNet.of(settings)
    return {f"{name}.{key}": t for name, network in networks.items() for key, t in network.state_dict().items()}
