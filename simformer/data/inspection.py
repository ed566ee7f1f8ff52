"""Inspection of one image and its label map: read once, decoded once, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simformer.atomic import read_file
from simformer.config.settings import IGNORE
from simformer.data.images import decode_image, decode_label, verify_checksums
from simformer.data.index import ImageRecord
from simformer.errors import UserError

SMALLEST_SIDE = 8
"""Pixels of the shortest side of an image: what is smaller is a placeholder or a broken thumbnail."""

LARGEST_ASPECT = 128
"""Longer side over the shorter one; brought to a network's size, a longer strip would be a line without content."""


@dataclass(frozen=True)
class Listed:
    """A listed name with its two files; what a missing one is missing for is in `problems`."""

    name: str
    image: Path | None
    label: Path | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What the inspection of one image and its label map found.

    Attributes:
        name: of the image.
        problems: what is wrong, one line each; empty if all is well.
        record: the index entry, or None if there are problems.
        counts: pixels per label value, 256 counts; empty if the label map cannot be read.
        label: path of the label map, for messages.
        pixels_sha256: checksum of the size and pixels of the photograph, equal for the same one in any lossless file.
    """

    name: str
    problems: tuple[str, ...]
    record: ImageRecord | None = None
    counts: tuple[int, ...] = ()
    label: Path | None = None
    pixels_sha256: str = ""


def inspect(root: Path, listed: Listed) -> Finding:
    """Decode and check one image and its label map; whether ids are in range is left to the audit.

    Args:
        root: the dataset's folder.
        listed: the name and its files.
    """
    problems = list(listed.problems)
    image = _decode(listed.image, "image", decode_image, problems)
    label = _decode(listed.label, "label map", decode_label, problems)
    if image is not None and listed.image is not None:
        problems += size_problems(str(listed.image), *image[1].shape[:2])
    if image is not None and label is not None and image[1].shape[:2] != label[1].shape:
        (height, width), (rows, columns) = image[1].shape[:2], label[1].shape
        problems.append(
            f"{listed.image} is {width}x{height} (width x height, upright) but {listed.label} is "
            f"{columns}x{rows}; expected equal sizes"
        )
    if label is None:
        return Finding(listed.name, tuple(problems))
    counts = np.bincount(label[1].ravel(), minlength=256)
    if problems or image is None:
        return Finding(listed.name, tuple(problems), None, tuple(counts.tolist()), listed.label)
    assert listed.image is not None and listed.label is not None, "both have been decoded"
    height, width = label[1].shape
    record = ImageRecord(
        listed.name,
        listed.image.relative_to(root).as_posix(),
        listed.label.relative_to(root).as_posix(),
        height,
        width,
        tuple(int(i) for i in np.flatnonzero(counts) if i != IGNORE),
        image[0],
        label[0],
    )
    pixels_sha256 = hashlib.sha256(str(image[1].shape).encode() + image[1].tobytes()).hexdigest()
    return Finding(listed.name, (), record, tuple(counts.tolist()), listed.label, pixels_sha256)


def _decode(
    path: Path | None, what: str, decode: Callable[[bytes, str], NDArray[np.uint8]], problems: list[str]
) -> tuple[str, NDArray[np.uint8]] | None:
    """Return a file's checksum and its decoded content; None, and a line more in `problems`, if it cannot be read."""
    if path is None:
        return None
    try:
        data = read_file(path, what)
        verify_checksums(data, str(path))
        return hashlib.sha256(data).hexdigest(), decode(data, str(path))
    except UserError as error:
        problems.append(str(error))
        return None


def size_problems(where: str, height: int, width: int) -> list[str]:
    """Return what is wrong with the size of an image of a dataset, which messages call `where`; one line or none."""
    short, long = sorted((height, width))
    if short < SMALLEST_SIDE:
        return [f"{where}: {width}x{height} pixels (width x height); expected sides of at least {SMALLEST_SIDE}"]
    if long > LARGEST_ASPECT * short:
        return [
            f"{where}: {width}x{height} pixels, {long / short:.0f} times as long as the short side; expected at most "
            f"{LARGEST_ASPECT} times: cut image and label map into tiles"
        ]
    return []
