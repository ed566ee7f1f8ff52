"""Reading label maps from MATLAB 5 files in Python alone: scipy's reader ends the process at some damaged files.

A file is a header of 128 bytes and then elements: a type, a size, and that many bytes. An element holds one variable,
packed with zlib or not, which again is elements: flags with its class, dimensions, name, and for numbers their values,
stored in any type that has place for them.

Format: MathWorks, "MAT-File Format", level 5.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER, ORDER = 128, 126
"""Bytes of the header, and where in it the byte order is."""

BYTE_ORDERS = {b"IM": "<", b"MI": ">"}
MATRIX, COMPRESSED = 14, 15
"""Types of the elements that hold variables."""

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of the elements that hold numbers."""

NUMERIC = range(6, 16)
"""Classes of variables that are arrays of numbers: double, single, and whole numbers of 8 to 64 bits."""

OPAQUE, COMPLEX = 17, 0x0800
"""The class of other objects, and the flag of complex numbers."""

MOST_BYTES = 2**30
"""Of one variable, unpacked."""


@dataclass(frozen=True)
class Variable:
    """A variable of a file.

    Attributes:
        shape: as MATLAB tells it.
        values: the array; None if it is none of real numbers.
    """

    shape: tuple[int, ...]
    values: NDArray[Any] | None


def read_matlab5(data: bytes) -> dict[str, Variable]:
    """Return the variables of a MATLAB 5 file by name.

    Raises:
        ValueError: it is none, or broken; or has a variable twice.
    """
    order = BYTE_ORDERS.get(data[ORDER:HEADER])
    if order is None:
        raise ValueError("no header of MATLAB 5")
    found: dict[str, Variable] = {}
    for kind, content in _elements(data[HEADER:], order):
        if kind == COMPRESSED:
            [(kind, content), *_] = _elements(_unpacked(content), order)
        for name, variable in _variable(content, order) if kind == MATRIX else ():
            if name in found:
                raise ValueError(f"variable {name!r} twice")
            found[name] = variable
    return found


def _variable(content: bytes, order: str) -> Iterator[tuple[str, Variable]]:
    """Yield the name and the variable of an element, unless it is an object of MATLAB's own, which has another form."""
    elements = _elements(content, order)
    try:
        kind = int(np.frombuffer(next(elements)[1], f"{order}u4", 1)[0])
        if kind & 0xFF == OPAQUE:
            return
        dimensions, name = (next(elements)[1] for _ in range(2))
        shape = tuple(np.frombuffer(dimensions, f"{order}i4").tolist())
        title = name.decode("latin1")
        if kind & 0xFF not in NUMERIC or kind & COMPLEX:
            yield title, Variable(shape, None)
            return
        number, values = next(elements)
    except StopIteration:
        raise ValueError("a variable breaks off") from None
    if number not in NUMBERS:
        raise ValueError(f"values of type {number}")
    array = np.frombuffer(values, f"{order}{NUMBERS[number]}")
    if min(shape, default=0) < 0 or array.size != np.prod(shape, dtype=np.float64):
        raise ValueError(f"{array.size} values for an array of shape {list(shape)}")
    yield title, Variable(shape, array.reshape(shape, order="F"))


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the content of each element; a small one has both and its size in eight bytes."""
    place = 0
    while place < len(data):
        if place + 8 > len(data):
            raise ValueError("breaks off within an element")
        kind, size = np.frombuffer(data, f"{order}u4", 2, place).tolist()
        start = place + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if start + size > len(data) or (start == place + 4 and size > 4):
            raise ValueError(f"an element claims {size} bytes, but {len(data) - start} are left")
        yield kind, data[start : start + size]
        place = start + size
        if kind != COMPRESSED:  # the others begin at multiples of eight bytes
            place += -place % 8


def _unpacked(content: bytes) -> bytes:
    """Return what zlib packed; ValueError if it is broken or larger than any label map."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(content, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("a packed variable breaks off, or is too large")
    return data
