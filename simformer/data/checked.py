"""Photographs and label maps, read only if they are what the audit or the label set saw: the way of all later stages.

A file is hashed once per process. It is hashed again if its size, its times or its place on the disk have changed,
so an edit in place, of a file to which a prepared dataset has a hard link, is noticed too. Small pictures stay in
memory (kept_pictures.py) until then.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simformer.data.images import decode_image, decode_label
from simformer.data.kept_pictures import KeptPictures
from simformer.data.labels import LabelledImage, LabelSet
from simformer.errors import UserError

_verified: set[int] = set()
"""Hashes of (path, state of the file, checksum) of what was compared; numbers, as there may be 100 000 of them."""
_kept = KeptPictures()


class Photograph(Protocol):
    """What names a photograph: its path below the dataset's folder, and the checksum of its file."""

    @property
    def image(self) -> str:
        """Path below the dataset's folder."""

    @property
    def image_sha256(self) -> str:
        """Checksum of the file."""


def read_photograph(data: Path, image: Photograph) -> NDArray[np.uint8]:
    """Read a photograph as RGB, upright, uint8 [H, W, 3].

    Args:
        data: folder of the prepared dataset.
        image: its record in the index or in a label set.
    Raises: UserError if the file is missing or is not the one that was audited.
    """
    return read_photograph_file(data / image.image, image.image_sha256)


def read_photograph_file(path: Path, checksum: str) -> NDArray[np.uint8]:
    """Read a photograph whose file must have a sha256; see `read_photograph`."""
    return read_audited(path, checksum, decode_image)


def read_label_map(labels: LabelSet, image: LabelledImage) -> NDArray[np.uint8]:
    """Read the label map of an image of a label set, uint8 [H, W].

    Raises: UserError if the file is missing or its pixels are not those that the label set was written with.
    """
    path, manifest = labels.label_path(image), labels.root / "labels.json"
    remedy = f"delete {manifest} and run snakemake again"
    if not image.label:
        raise UserError(f"{manifest}: it holds only image-level labels, no label maps; give a label set with masks")
    changed = UserError(f"{path}: changed since the label set was written; {remedy}")

    def decoded(content: bytes, known: int) -> NDArray[np.uint8]:
        try:
            label_map = decode_label(content, str(path))
        except UserError:
            raise changed from None
        if known not in _verified:
            if label_map.shape != (image.height, image.width) or label_checksum(label_map) != image.label_sha256:
                raise changed
            _verified.add(known)
        return label_map

    return _picture(path, remedy, image.label_sha256, decoded)


def label_checksum(label_map: NDArray[np.uint8]) -> str:
    """Return the sha256 of a label map's pixels, as label sets hold it."""
    return hashlib.sha256(label_map.tobytes()).hexdigest()


def read_audited(path: Path, checksum: str, decode: Callable[[bytes, str], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return a picture that `decode` makes of a file's content and name; UserError unless the file is as audited."""
    remedy = "put the audited file back, or delete index.json of this dataset and run snakemake again"

    def decoded(content: bytes, known: int) -> NDArray[np.uint8]:
        if known not in _verified:
            if hashlib.sha256(content).hexdigest() != checksum:
                raise UserError(f"{path}: changed since the audit (or it is a file of another dataset); {remedy}")
            _verified.add(known)
        return decode(content, str(path))

    return _picture(path, remedy, f"{decode.__name__} {checksum}", decoded)


def _picture(
    path: Path, remedy: str, expected: str, decoded: Callable[[bytes, int], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Return a picture: a kept one if its file is as it was, else one that is read.

    Args:
        path: its file.
        remedy: what to do if it cannot be read, for messages.
        expected: what tells the picture apart from others that may be read from the file.
        decoded: checks and decodes the content of the file; the number stands for file, state and expectation.
    """
    name = str(path)
    try:
        with open(name, "rb") as stream:
            state = os.fstat(stream.fileno())
            known = hash(
                (name, expected, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
            )
            picture = _kept.find(known)
            if picture is not None:
                return picture
            content = stream.read()
    except FileNotFoundError:
        raise UserError(f"{path}: not there any more; {remedy}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    picture = decoded(content, known)
    _kept.keep(known, picture)
    return picture
