"""The run lengths of Label Studio's brush: a stream of bits of the package `@thi.ng/rle-pack`.

32 bits    number of values: 4 per pixel (red, green, blue, alpha), row by row
5 bits     bits of a value, less 1
4 x 4 bits bits of a length, less 1, of each of four kinds
then       1 bit: repeated or not; 2 bits: kind of length; the length, less 1; one value, or as many as the length says

A pixel belongs to the shape where alpha is not 0. Source: label_studio_converter/brush.py (`decode_rle`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

from simformer.data.coco_shapes import BrokenShape, RunLengths

CHANNELS = 4
ALPHA = 3


@dataclass(frozen=True)
class Brush:
    """The bytes of one brush stroke or several."""

    data: bytes

    def encode(self, height: int, width: int) -> RunLengths:
        """See `Region`."""
        values = decode(self.data, CHANNELS * height * width)
        alpha = values.reshape(height, width, CHANNELS)[..., ALPHA]
        return run_lengths.encode(np.asfortranarray(alpha > 0, np.uint8))


def decode(data: bytes, expected: int) -> NDArray[np.uint8]:
    """Return the values behind a stream.

    Args:
        data: the stream.
        expected: number of values that the image asks for.

    Returns: uint8 [expected].

    Raises:
        BrokenShape: another number of values, or the stream ends too early.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    place = 0

    def number(size: int) -> int:
        nonlocal place
        if place + size > len(bits):
            raise BrokenShape("brush run lengths that end too early; export the file again")
        value = 0
        for bit in bits[place : place + size].tolist():
            value = value << 1 | bit
        place += size
        return value

    count, size = number(32), number(5) + 1
    if count != expected or size != 8:
        raise BrokenShape(f"brush run lengths of {count} values of {size} bits; the image asks for {expected} of 8")
    sizes = [number(4) + 1 for _ in range(4)]
    values, filled = np.zeros(count, np.uint8), 0
    while filled < count:
        repeated = number(1)
        end = filled + number(sizes[number(2)]) + 1
        if end > count:
            raise BrokenShape(f"brush run lengths of more than {count} values; export the file again")
        if repeated:
            values[filled:end] = number(size)
        else:
            length = size * (end - filled)
            if place + length > len(bits):
                raise BrokenShape("brush run lengths that end too early; export the file again")
            values[filled:end] = np.packbits(bits[place : place + length])
            place += length
        filled = end
    return values
