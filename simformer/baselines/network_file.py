"""A baseline's network on disk: weights with their specification and the class names inside (safetensors)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from simformer.baselines.network_spec import NetworkSettingsT, NetworkSpec
from simformer.data.files import atomic_write_bytes
from simformer.data.labels import LabelSet
from simformer.errors import UserError


@dataclass(frozen=True)
class StoredNetwork(Generic[NetworkSettingsT]):
    """Content of a network file: specification, K class names in id order, state dict, and the file's hash."""

    spec: NetworkSpec[NetworkSettingsT]
    classes: tuple[str, ...]
    tensors: dict[str, Tensor]
    hash: str


def write_network(path: Path, network: nn.Module, spec: NetworkSpec, classes: tuple[str, ...]) -> None:
    """Write a network file, atomically; equal content, equal bytes."""
    facts = {"spec": spec.model_dump(mode="json"), "classes": list(classes)}
    tensors = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    atomic_write_bytes(path, save(tensors, {"simformer_network": json.dumps(facts)}))


def stored_kind(path: Path) -> str:
    """Return the kind of the network in a file; raises UserError if it is missing or no network file."""
    return _facts(path)["spec"]["kind"]


def read_network(path: Path, kind: str, settings: type[NetworkSettingsT]) -> StoredNetwork[NetworkSettingsT]:
    """Read a network file.

    Args:
        path: the file.
        kind: what it must be.
        settings: class of its settings.
    Raises: UserError if it is missing, no network file, or of another kind.
    """
    facts = _facts(path)
    with safe_open(path, framework="pt") as stream:
        tensors = {k: stream.get_tensor(k) for k in stream.keys()}  # noqa: SIM118 (not a dict)
    if facts["spec"]["kind"] != kind:
        raise UserError(f"{path}: a network of kind '{facts['spec']['kind']}'; expected '{kind}'")
    spec = NetworkSpec[settings].model_validate(facts["spec"])
    with path.open("rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    return StoredNetwork(spec, tuple(facts["classes"]), tensors, checksum)


def _facts(path: Path) -> dict:
    try:
        with safe_open(path, framework="pt") as stream:
            return json.loads((stream.metadata() or {})["simformer_network"])
    except FileNotFoundError:
        raise UserError(f"{path}: no such network; `snakemake {path}` trains it") from None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path}: not a network of a baseline ({error}); delete it and run snakemake again") from None


def require_classes(classes: tuple[str, ...], labels: LabelSet, path: Path) -> None:
    """Raise UserError unless the network of a file was trained on the classes of a label set."""
    if classes != labels.classes:
        raise UserError(f"{path}: trained on other classes than those of {labels.root}; delete it and run again")
