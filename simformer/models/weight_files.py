"""Files of named tensors from other programs: reads them safely, and says how they differ from a network."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from simformer.data.signatures import HEAD, describe_content
from simformer.errors import UserError
from simformer.models.pickles import RefusedError, read_pickle

WRAPPERS = ("model", "blobs")
"""Keys under which training checkpoints (PyTorch, detectron2) and Caffe2 files keep their tensors."""

SHOWN = 3
"""Tensors of a kind of misfit that a message names."""

ZIPPED = (".pth", ".pt", ".bin")
"""Usual endings of what torch.save writes, which is a zip archive."""

CAFFE2 = re.compile(r"conv1_[wb]|res\d_\d+_branch\w+")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a `.safetensors` file, a numpy `.pkl`, or anything that torch.load reads safely.

    Args:
        path: the file; tensors may be under the key 'model', beside an optimiser and the like.

    Returns: tensor by name, on the CPU.

    Raises: UserError when the file is missing, damaged, holds Python objects or no tensors, or values that are not
        finite, or is Caffe2's.
    """
    if not path.is_file():
        other = ": a folder, pipe or device" if path.exists() else ""
        raise UserError(f"no file {path}{other}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch.load, about files that are refused anyway
            content = _load(path)
    except RefusedError as error:
        raise UserError(
            f"{path} is refused: it holds {error}, and a weight file needs numbers in arrays and plain containers "
            "only; nothing in it was run. Get the file again from its original source"
        ) from None
    except Exception as error:  # a damaged file can fail in any way
        raise UserError(
            f"cannot read {path} ({path.stat().st_size} bytes; {_reason(path, error)}): it is damaged, incomplete, or "
            "no file of weights; fetch it again"
        ) from error
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, Mapping) and any(CAFFE2.fullmatch(str(name)) for name in content):
        raise UserError(
            f"{path} is a Caffe2 model (MSRA's ResNet): it was trained on BGR images and has its strides in the 1x1 "
            "convolutions, so it cannot be used here; take detectron2's torchvision/R-50.pkl, or torchvision's own file"
        )
    return _tensors(content, path)


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".pkl":
        return read_pickle(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its text goes on to advise loading the file unsafely
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            raise RefusedError(found[1]) from None
        raise ValueError("no file of torch.save") from None


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds no named tensors (expected a mapping from name to tensor)")
    tensors, size = {}, path.stat().st_size
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor | np.ndarray):
            raise UserError(
                f"{path} holds more than a state dict: {str(name)!r} is a {type(value).__name__} (expected a flat "
                "mapping from name to tensor, alone or under the key 'model'); save its state dict alone"
            )
        tensors[name] = _tensor(name, value, path, size)
    _refuse_broken_values(tensors, path)
    return tensors


def _tensor(name: str, value: Tensor | np.ndarray, path: Path, size: int) -> Tensor:
    """Return a plain tensor that shares its memory with no other, of at most as many bytes as its file has."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if value.layout is not torch.strided or value.is_quantized or value.device.type != "cpu":
        raise UserError(
            f"{path}: {name!r} is a tensor of another kind ({value.layout}, {value.dtype}, on '{value.device}'); "
            "expected plain numbers: save the state dict of a usual network, neither sparse nor quantised"
        )
    if value.numel() * value.element_size() > size:
        raise UserError(
            f"{path}: {name!r} claims {value.numel():,} numbers, which a file of {size:,} bytes cannot hold"
        )
    return value.detach().clone()


def _refuse_broken_values(tensors: Mapping[str, Tensor], path: Path) -> None:
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    broken = [name for name, tensor in floats.items() if not bool(torch.isfinite(tensor.to(_wider(tensor))).all())]
    if broken:
        raise UserError(
            f"{path} holds values that are NaN or infinite, in {some(broken, SHOWN)}: the training that wrote it had "
            "failed; take an earlier checkpoint, or fetch the file again"
        )


def _wider(tensor: Tensor) -> torch.dtype:
    """Return a type that can be asked for its finiteness: those of eight bits cannot."""
    return torch.float32 if tensor.element_size() == 1 else tensor.dtype


def _reason(path: Path, error: Exception) -> str:
    """Return what the file is, if that can be told, else the first line of the error."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    with path.open("rb") as stream:
        kind = describe_content(stream.read(HEAD))
    if kind and not (path.suffix in ZIPPED and kind.startswith("a zip")):
        return kind
    text = next(iter(str(error).splitlines()), "")
    return text if " " in text else f"{type(error).__name__} {text}".strip()


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Compare names, shapes and kinds of numbers; a floating-point number fits another of any precision.

    Args:
        expected: state dict of the network (values may be on the meta device).
        found: tensors of a file.

    Returns: sorted lines by kind, 'missing', 'unexpected', 'wrong shape' and 'wrong type'; kinds without any are left
        out.
    """
    both = expected.keys() & found.keys()
    kinds = {
        "missing": expected.keys() - found.keys(),
        "unexpected": found.keys() - expected.keys(),
        "wrong shape": {
            f"{name} {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in both
            if found[name].shape != expected[name].shape
        },
        "wrong type": {
            f"{name} {_type(found[name])} instead of {_type(expected[name])}"
            for name in both
            if found[name].is_floating_point() != expected[name].is_floating_point()
        },
    }
    return {kind: sorted(lines) for kind, lines in kinds.items() if lines}


def misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Tell in one line why tensors are not those of a network; empty if they are.

    Args:
        expected, found: see `differences`; every number that is found must be finite.

    Returns: of each kind the number and the first names, e.g. "2 missing (a, b); 1 not finite (c)".
    """
    kinds = differences(expected, found)
    broken = [
        name for name, t in found.items() if t.is_floating_point() and not bool(torch.isfinite(t.to(_wider(t))).all())
    ]
    if broken:
        kinds["not finite"] = sorted(broken)
    return "; ".join(f"{len(names)} {kind} ({some(names, SHOWN)})" for kind, names in kinds.items())


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def some(lines: Iterable[str], shown: int) -> str:
    """Join the first lines, and count the others."""
    lines = list(lines)
    more = [f"and {len(lines) - shown} more"] if len(lines) > shown else []
    return ", ".join(lines[:shown] + more)
