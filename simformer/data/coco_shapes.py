"""The shapes of COCO's annotations: checked in Python before the C library, which trusts what it gets, draws them.

Polygons   [[x, y, x, y, ...], ...] in pixels
Runs       {"counts": ..., "size": [height, width]}: lengths of runs down the columns, the first run outside the
           shape; plain as a list, or compressed as a text of 5 bits a character (6 with the sign that more follow)

Format: cocodataset.org/#format-data; of the compressed form the code of pycocotools, with which the shapes are drawn.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

LONGEST_SIDE, MOST_PIXELS = 65_535, 2**27
"""Of an image: what a JPEG can have, and 200 times what the largest photographs of such datasets have."""

LONGEST_OUTLINE = 2**20
"""Pixels that the outline of a shape may be long; the library holds forty bytes for each."""

FIRST_CHARACTER, LAST_CHARACTER = 48, 111
"""Of the compressed form, as ASCII: 0 and 63."""

MORE, SIGN, DIGITS = 32, 16, 31
"""Bits of a character: another one follows; in the last one, the number is negative; the digits."""

MOST_CHARACTERS = 6
"""Characters of one number: enough for 2**29."""


LONGEST_QUOTE = 80
"""Characters of a value that a message quotes."""

_QUOTE = reprlib.Repr()
_QUOTE.maxlevel, _QUOTE.maxstring = 2, LONGEST_QUOTE - 5


@dataclass(frozen=True, slots=True)
class Runs:
    """Run lengths as in the file: int64, or compressed; of an image of that height and width."""

    counts: NDArray[np.int64] | bytes
    size: tuple[int, int]


Shape = tuple[NDArray[np.float64], ...] | Runs
"""Polygons as arrays x, y, x, y, ...; or run lengths."""


class BrokenShape(Exception):
    """A shape that cannot be drawn; the message says why."""


def compact(segmentation: Any) -> Shape:
    """Check the form of a `segmentation` as JSON gives it, and make it small; BrokenShape says what is wrong."""
    if isinstance(segmentation, Mapping):
        return _runs(segmentation)
    if not isinstance(segmentation, list):
        raise BrokenShape(f"`segmentation` is {shown(segmentation)}; expected polygons or run lengths")
    return tuple(map(_polygon, segmentation)) if len(segmentation) < 2 else _polygons(segmentation)


class RunLengths(TypedDict):
    """A mask as COCO's compressed run lengths, in the form of pycocotools."""

    size: list[int]
    counts: str | bytes


def encode(shape: Shape, height: int, width: int) -> RunLengths:
    """Check the numbers of a shape, and return it as the library's compressed run lengths.

    Polygons of fewer than three points have no area.

    Args:
        shape: of `compact`.
        height, width: of its image, in pixels.

    Raises:
        BrokenShape: coordinates far outside the image or not finite, an endless outline, or runs that are broken or do
            not fill the image.
    """
    if isinstance(shape, Runs):
        return _checked_runs(shape, height, width)
    _check_polygons(shape, height, width)
    polygons = [polygon.tolist() for polygon in shape if polygon.size >= 6]
    if not polygons:
        return run_lengths.encode(np.zeros((height, width), np.uint8, order="F"))
    return run_lengths.merge(run_lengths.frPyObjects(polygons, height, width))


def shown(value: Any) -> str:
    """Return a value for a message, in one line of at most LONGEST_QUOTE characters."""
    text = "null" if value is None else _QUOTE.repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 3]}..."


def _polygons(segmentation: list[Any]) -> Shape:
    """Return several polygons; refuses what one shape looks like that was not put into a list of polygons."""
    if all(isinstance(item, int | float) for item in segmentation):
        raise BrokenShape("`segmentation` is a flat list of numbers; expected a list of polygons, [[x, y, x, y, ...]]")
    if all(isinstance(item, list) and len(item) == 2 for item in segmentation):
        raise BrokenShape("`segmentation` is a list of points [x, y]; expected a list of polygons, [[x, y, x, y, ...]]")
    return tuple(map(_polygon, segmentation))


def _polygon(numbers: Any) -> NDArray[np.float64]:
    if not isinstance(numbers, list) or not set(map(type, numbers)) <= {int, float}:
        raise BrokenShape(f"polygon {shown(numbers)}; expected a list of numbers, [x, y, x, y, ...]")
    if len(numbers) % 2:
        raise BrokenShape(f"polygon with an odd number of coordinates, {len(numbers)}; expected pairs x, y")
    try:
        return np.array(numbers, np.float64)
    except OverflowError:
        raise BrokenShape(f"polygon {shown(numbers)}; expected numbers near the image") from None


def _runs(segmentation: Mapping[str, Any]) -> Runs:
    missing = [f"`{key}`" for key in ("counts", "size") if key not in segmentation]
    if missing:
        raise BrokenShape(f"run lengths without {' and '.join(missing)}")
    size, counts = segmentation["size"], segmentation["counts"]
    if not isinstance(size, list) or len(size) != 2 or set(map(type, size)) != {int}:
        raise BrokenShape(f"`size` is {shown(size)}; expected [height, width]")
    if isinstance(counts, str):
        if not counts.isascii():
            raise BrokenShape("`counts` has characters that are not of compressed run lengths")
        return Runs(counts.encode("ascii"), (size[0], size[1]))
    if not isinstance(counts, list) or not set(map(type, counts)) <= {int}:
        raise BrokenShape(f"`counts` is {shown(counts)}; expected whole numbers, or a text of compressed run lengths")
    try:
        return Runs(np.array(counts, np.int64), (size[0], size[1]))
    except OverflowError:
        raise BrokenShape(f"`counts` is {shown(counts)}; expected numbers of pixels") from None


def _check_polygons(polygons: tuple[NDArray[np.float64], ...], height: int, width: int) -> None:
    """Raise BrokenShape for coordinates that are further away than the image is large, or an endless outline."""
    outline = 0.0
    for polygon in polygons:
        if not polygon.size:
            continue
        points = polygon.reshape(-1, 2)
        for name, values, side in (("x", points[:, 0], width), ("y", points[:, 1], height)):
            low, high = values.min(), values.max()
            if not (low >= -side and high <= 2 * side):  # what is not a number is neither
                wrong = low if not low >= -side else high
                raise BrokenShape(
                    f"coordinate {name} = {wrong:g} in an image of height {height} and width {width}; expected numbers "
                    f"from {-side} to {2 * side}"
                )
        if polygon.size > 2:
            outline += float(np.abs(np.diff(points, axis=0)).max(axis=1).sum())
    if outline > LONGEST_OUTLINE:
        raise BrokenShape(f"an outline of {outline:,.0f} pixels in an image of height {height} and width {width}")


def _checked_runs(runs: Runs, height: int, width: int) -> RunLengths:
    if runs.size != (height, width):
        raise BrokenShape(f"size {list(runs.size)} in an image of height and width {[height, width]}")
    counts = _decompress(runs.counts) if isinstance(runs.counts, bytes) else runs.counts
    if counts.size and (counts.min() < 0 or counts.max() > height * width):
        wrong = counts.min() if counts.min() < 0 else counts.max()
        raise BrokenShape(f"a run of {wrong} pixels in an image of {height * width}")
    if counts.sum() != height * width:
        raise BrokenShape(f"run lengths do not fill the image: {counts.sum()} of {height * width} pixels")
    if isinstance(runs.counts, bytes):
        return {"size": [height, width], "counts": runs.counts}
    return run_lengths.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)


def _decompress(text: bytes) -> NDArray[np.int64]:
    """Return the run lengths behind their compressed form.

    A number's lowest five bits come first. From the fourth number on, each is the difference to the last but one.
    """
    letters = np.frombuffer(text, np.uint8)
    if not letters.size:
        return np.zeros(0, np.int64)
    if letters.min() < FIRST_CHARACTER or letters.max() > LAST_CHARACTER:
        raise BrokenShape("`counts` has characters that are not of compressed run lengths")
    values = letters - np.uint8(FIRST_CHARACTER)
    last = np.flatnonzero(values < MORE)
    if not last.size or last[-1] != values.size - 1:
        raise BrokenShape("compressed run lengths that end within a number")
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if lengths.max() > MOST_CHARACTERS:
        raise BrokenShape(f"a run length of {lengths.max()} characters; at most {MOST_CHARACTERS} make sense")
    numbers = np.zeros(last.size, np.int64)
    for place in range(lengths.max()):
        there = lengths > place
        numbers[there] |= (values[first[there] + place] & DIGITS).astype(np.int64) << 5 * place
    numbers -= np.where(values[last] & SIGN, np.int64(1) << 5 * lengths, 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
