"""The model file: weights with the run's configuration and the class names inside (safetensors)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from simformer.atomic import atomic_write_bytes
from simformer.config.layers import RunConfig
from simformer.data.identity import Identity
from simformer.errors import UserError, to_make
from simformer.text.strict_json import parse_json

REMEDY = (
    "delete it and run snakemake again, which trains it; or take its weights over with `simformer export_weights` and "
    "`simformer import_weights`"
)


@dataclass(frozen=True)
class StoredModel:
    """Content of a model file.

    Attributes:
        tensors: state dicts under the prefixes 'model.' (MaskFormer) and, where there is one, 'simnet.'.
        config: the run that the weights belong to.
        imported: whether it was trained by another program.
        identity: classes, dataset and hidden classes of the labels that it was trained on.
    """

    tensors: dict[str, Tensor]
    config: RunConfig
    identity: Identity
    imported: bool


def write_model(path: Path, tensors: Mapping[str, Tensor], config: RunConfig, identity: Identity, **facts: Any) -> None:
    """Write a model file, atomically; equal content, equal bytes.

    There is a single entry of metadata, since the order of entries in the file is not fixed.

    Args:
        path: the file.
        tensors, config, identity: see StoredModel.
        facts: more about the weights for whoever reads the file (JSON).
    """
    facts = {"config": config.flat(), "hash": config.hash, **identity.content(), **facts}
    content = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    atomic_write_bytes(path, save(content, {"simformer": json.dumps(facts)}))


def read_model(path: Path, any_version: bool = False) -> StoredModel:
    """Read a model file.

    Args:
        path: the file.
        any_version: also read what does not say which dataset it belongs to; its weights can be exported.
    Raises: UserError if it is missing, not a model file, damaged, edited, or of an older version.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            facts = parse_json((stream.metadata() or {})["simformer"])
            tensors = {k: stream.get_tensor(k) for k in stream.keys()}  # noqa: SIM118 (not a dict)
        flat, stored = dict(facts["config"]), facts["hash"]
    except FileNotFoundError:
        raise UserError(f"{path}: no such model; `{to_make(path)}` trains it") from None
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise UserError(f"{path}: not a model written by `simformer train` ({error}); train it again") from None
    try:
        config = RunConfig.from_flat(flat, str(path))
    except UserError as error:
        raise UserError(f"{'; '.join(str(error).splitlines())}; {REMEDY}") from None
    if stored != config.hash:
        raise UserError(
            f"{path}: hash {stored} does not fit the settings inside ({config.hash}): the file was edited, or is of "
            f"another version; {REMEDY}"
        )
    if any_version:
        facts = {"dataset": None, "hidden": None} | facts
    return StoredModel(tensors, config, Identity.parse(facts, path, REMEDY), "origin" in facts)
