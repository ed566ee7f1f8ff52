"""Reads pickles of numpy arrays (official MaskFormer, detectron2) without running anything in them."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = re.compile(r"f[248]|[iu][1248]|b1")
"""Element types that are read: floats, integers, booleans."""


class RefusedError(Exception):
    """The pickle asks for something else than arrays and containers; the message names it."""


def read_pickle(path: Path) -> Any:
    """Read plain containers, text, numbers and numpy arrays.

    An ordinary unpickler calls whatever functions the file names. This one knows a handful of names, and none
    of them reaches numpy: arrays are noted down as records and built afterwards from their bytes.

    Args:
        path: a pickle of any protocol, written by Python 2 or 3.

    Returns: the content with `numpy.ndarray` for arrays.

    Raises: RefusedError for any other object; what else goes wrong with a damaged file has many types.
    """
    with path.open("rb") as stream:
        return _with_arrays(_Unpickler(stream, encoding="latin1").load())


class _Dtype:
    """Record of `numpy.dtype(code)`; its state holds the byte order."""

    def __init__(self, code: str, *options: Any):
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """Record of an array: shape, element type, memory order and bytes."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state

    def build(self) -> np.ndarray:
        """Return the array; raises RefusedError for elements that are not numbers."""
        code = self.dtype.code
        if not isinstance(code, str) or not NUMBERS.fullmatch(code):
            raise RefusedError(f"an array of type {code!r}")
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        flat = np.frombuffer(data, np.dtype(code).newbyteorder(self.dtype.order))
        return flat.reshape(self.shape, order="F" if self.fortran else "C").astype(code)


def _reconstruct(*arguments: Any) -> _Array:
    """Stand for numpy's function of this name, which makes an empty array; its state follows in the pickle."""
    return _Array()


def _from_buffer(data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    """Stand for numpy's function of this name (pickle protocol 5)."""
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _encode(text: str, encoding: str) -> bytes:
    """Stand for `codecs.encode`, by which Python 3 writes bytes in old protocols."""
    return text.encode("latin1")


KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
}
for _package in ("numpy.core", "numpy._core"):
    KNOWN[f"{_package}.multiarray", "_reconstruct"] = _reconstruct
    KNOWN[f"{_package}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        try:
            return KNOWN[module, name]
        except KeyError:
            raise RefusedError(f"{module}.{name}") from None


def _with_arrays(content: Any, known: dict[int, Any] | None = None) -> Any:
    """Replace the records in nested containers by arrays; what occurs in several places is built once."""
    known = {} if known is None else known
    if not isinstance(content, _Array | Mapping | list | tuple):
        return content
    if id(content) not in known:
        if isinstance(content, _Array):
            known[id(content)] = content.build()
        elif isinstance(content, Mapping):
            known[id(content)] = {key: _with_arrays(value, known) for key, value in content.items()}
        else:
            known[id(content)] = [_with_arrays(value, known) for value in content]
    return known[id(content)]
