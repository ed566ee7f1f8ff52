"""A baseline's network on disk: weights with their specification and the class names inside (safetensors)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from simformer.atomic import atomic_write_bytes
from simformer.baselines.settings import NetworkSettings, NetworkSettingsT, NetworkSpec, of_settings
from simformer.data.identity import Identity
from simformer.errors import UserError, if_made
from simformer.models.weight_files import misfits
from simformer.text.strict_json import parse_json
from simformer.text.to_make import to_make
from simformer.training.record import file_hash

REMEDY = "delete it and run snakemake again, which trains it"
NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True)
class StoredNetwork(Generic[NetworkSettingsT]):
    """Content of a network file.

    Attributes:
        spec: what decides its weights, beside data and initial weights.
        identity: classes, dataset and hidden classes of the labels that it was trained on.
        tensors: state dict.
        hash: of the file.
    """

    spec: NetworkSpec[NetworkSettingsT]
    identity: Identity
    tensors: dict[str, Tensor]
    hash: str

    @property
    def classes(self) -> tuple[str, ...]:
        """K class names in id order."""
        return self.identity.classes

    def fill(self, network: NetworkT) -> NetworkT:
        """Give a network the stored weights; raises UserError, before any is changed, if they are not its own."""
        if problems := misfits(network.state_dict(), self.tensors):
            raise UserError(f"{self.identity.where}: its tensors are not those of its network: {problems}; {REMEDY}")
        network.load_state_dict(self.tensors)
        return network


def write_network(path: Path, network: nn.Module, spec: NetworkSpec[NetworkSettings], identity: Identity) -> None:
    """Write a network file, atomically; equal content, equal bytes."""
    facts = {"spec": spec.model_dump(mode="json"), "hash": spec.hash} | identity.content()
    tensors = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    atomic_write_bytes(path, save(tensors, {"simformer_network": json.dumps(facts)}))


def stored_kind(path: Path) -> str:
    """Return the kind of the network in a file; raises UserError if it is missing or no network file."""
    return str(_facts(path)["spec"]["kind"])


def read_network(path: Path, kind: str, settings: type[NetworkSettingsT]) -> StoredNetwork[NetworkSettingsT]:
    """Read a network file.

    Args:
        path: the file.
        kind: what it must be.
        settings: class of its settings.
    Raises: UserError if it is missing, no network file, of another kind, edited, or of an older version.
    """
    facts = _facts(path)
    if facts["spec"]["kind"] != kind:
        raise UserError(f"{path}: a network of kind '{facts['spec']['kind']}'; expected '{kind}'")
    identity = Identity.parse(facts, path, REMEDY)
    try:
        with safe_open(path, framework="pt") as stream:
            tensors = {k: stream.get_tensor(k) for k in stream.keys()}  # noqa: SIM118 (not a dict)
        spec, checksum = of_settings(settings).model_validate(facts["spec"]), file_hash(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise UserError(f"{path}: a damaged network ({' '.join(str(error).split())}); {REMEDY}") from None
    if spec.hash != facts.get("hash"):
        raise UserError(f"{path}: its settings do not fit their hash: edited, or of another version; {REMEDY}")
    return StoredNetwork(spec, identity, tensors, checksum)


def _facts(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as stream:
            facts: dict[str, Any] = parse_json((stream.metadata() or {})["simformer_network"])
        facts["spec"]["kind"]
        return facts
    except FileNotFoundError:
        raise UserError(f"{path}: no such network; `{to_make(path)}` trains it") from None
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{path}: not a network of a baseline ({error}); {if_made(REMEDY)}") from None
