"""The model file: weights with the run's configuration and the class names inside (safetensors)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from simformer.atomic import atomic_write_bytes, kind_of
from simformer.config.layers import RunConfig, parse
from simformer.config.settings import InferenceSettings
from simformer.data.identity import Identity
from simformer.data.palette import class_colours
from simformer.data.transforms import PIXEL_MEAN, PIXEL_STD
from simformer.errors import UserError
from simformer.text.strict_json import parse_json
from simformer.text.to_make import made_by

REMEDY = (
    "delete it and run snakemake again, which trains it; or take its weights over with `simformer export_weights` and "
    "`simformer import_weights`"
)


MODEL = "model.safetensors"
"""Name of the file that a training writes."""

TEST_SIZE = ("short_edge", "max_long_edge")
"""Of the inference settings, what a model file holds; the others do not belong to the model."""
PIXELS = {"channels": "RGB", "range": [0, 255], "mean": list(PIXEL_MEAN), "std": list(PIXEL_STD)}
"""How pixels become network input: (value - mean) / std, per channel."""


@dataclass(frozen=True)
class StoredModel:
    """Content of a model file.

    Attributes:
        tensors: state dicts under the prefixes 'model.' (MaskFormer) and, where there is one, 'simnet.'.
        config: the run that the weights belong to.
        imported: whether it was trained by another program.
        identity: classes, dataset and hidden classes of the labels that it was trained on.
        inference: test-time sizes; None in a file that does not say them, as of an older version.
        colours: K colours of the classes in pictures, uint8 [K, 3].
    """

    tensors: dict[str, Tensor]
    config: RunConfig
    identity: Identity
    imported: bool
    inference: InferenceSettings | None
    colours: NDArray[np.uint8]


def write_model(
    path: Path,
    tensors: Mapping[str, Tensor],
    config: RunConfig,
    identity: Identity,
    inference: InferenceSettings | None,
    **facts: Any,
) -> None:
    """Write a model file, atomically; equal content, equal bytes.

    There is a single entry of metadata, since the order of entries in the file is not fixed.

    Args:
        path: the file.
        tensors, config, identity: see StoredModel.
        inference: test-time sizes for `simformer predict`; None if they are not known.
        facts: more about the weights for whoever reads the file (JSON).
    """
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in class_colours(len(identity.classes)).tolist()]
    shown = {"colours": colours[: len(identity.classes)], "pixels": PIXELS}
    size = {} if inference is None else {"inference": {name: getattr(inference, name) for name in TEST_SIZE}}
    facts = {"config": config.flat(), "hash": config.hash, **identity.content(), **shown, **size, **facts}
    content = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    atomic_write_bytes(path, save(content, {"simformer": json.dumps(facts)}))


def read_model(path: Path, any_version: bool = False) -> StoredModel:
    """Read a model file.

    Args:
        path: the file.
        any_version: also read what does not say which dataset it belongs to; its weights can be exported.
    Raises: UserError if it is missing, not a model file, damaged, edited, or of an older version.
    """
    if (kind := kind_of(path)) is not None:
        if kind == "nothing" and path.name == MODEL:
            raise UserError(f"{path}: no such model; {made_by(path, 'trains it')}")
        raise UserError(f"{path}: {'no such file' if kind == 'nothing' else kind}; expected the {MODEL} of a training")
    try:
        with safe_open(path, framework="pt") as stream:
            facts = parse_json((stream.metadata() or {})["simformer"])
            tensors = {k: stream.get_tensor(k) for k in stream.keys()}  # noqa: SIM118 (not a dict)
        flat, stored = dict(facts["config"]), facts["hash"]
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise UserError(
            f"{path}: not a model written by `simformer train`, or damaged ({error}); copy it again, or train it again"
        ) from None
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
    identity = Identity.parse(facts, path, REMEDY)
    return StoredModel(tensors, config, identity, "origin" in facts, _inference(facts, path), _colours(facts, identity))


def _inference(facts: Mapping[str, Any], path: Path) -> InferenceSettings | None:
    """Return the test-time sizes that a file holds; UserError if they, or what it says of pixels, cannot be used."""
    if facts.get("pixels", PIXELS) != PIXELS:
        raise UserError(
            f"{path}: its pixels are normalised as {facts['pixels']}, here as {PIXELS}: the file was edited, or is of "
            f"another version; {REMEDY}"
        )
    if "inference" not in facts:
        return None
    try:
        return parse(InferenceSettings, dict(facts["inference"]), str(path), "inference")
    except (TypeError, ValueError, UserError) as error:
        raise UserError(f"{path}: edited or damaged, its test size cannot be read ({error}); {REMEDY}") from None


def _colours(facts: Mapping[str, Any], identity: Identity) -> NDArray[np.uint8]:
    """Return the colours that a file holds, or those that every picture here has for as many classes."""
    told, count = facts.get("colours"), len(identity.classes)
    if told is None:
        return class_colours(count)[:count]
    try:
        return np.array([list(bytes.fromhex(colour.removeprefix("#"))) for colour in told], np.uint8).reshape(count, 3)
    except (AttributeError, TypeError, ValueError):
        raise UserError(
            f"{identity.where}: edited or damaged, expected {count} colours such as #1f77b4; {REMEDY}"
        ) from None
