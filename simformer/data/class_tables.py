"""The classes of the published datasets, and the way from a dataset's own ids (raw) to contiguous class ids.

`lists/<dataset>.classes.json` has `raw_id` and `name` of every class; the class id is the position in that list, in the
order of MaskFormer's COCO-Stuff-10K and detectron2's ADE20K class lists, to which the paper's split files refer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simformer.config.settings import IGNORE
from simformer.data.images import decode_label
from simformer.errors import UserError

INVALID = 254
"""Marks in a table the raw values that no file may hold; the largest class id of these datasets is 170."""


@dataclass(frozen=True)
class ClassTable:
    """The K classes of a dataset in id order: names, and the dataset's own ids."""

    names: tuple[str, ...]
    raw_ids: tuple[int, ...]


@dataclass(frozen=True)
class IdTable:
    """Class id of every value that a label file may hold.

    Attributes:
        ids: class id, 255 (ignore) or INVALID by value, uint8 [256].
        expected: the values that are allowed, for messages.
    """

    ids: NDArray[np.uint8]
    expected: str

    @staticmethod
    def make(ids: Mapping[int, int], ignored: set[int], expected: str) -> IdTable:
        """Build a table from value -> class id and the values that mean ignore."""
        table = np.full(256, INVALID, np.uint8)
        table[sorted(ignored)] = IGNORE
        table[list(ids)] = list(ids.values())
        return IdTable(table, expected)

    def relabel(self, values: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
        """Translate a label map, uint8 [H, W], into class ids and 255.

        Args:
            values: as in the file.
            where: the file, for messages.

        Raises:
            UserError: values that the format does not have.
        """
        label = np.take(self.ids, values)
        wrong = label == INVALID
        if wrong.any():
            ids = ", ".join(map(str, np.unique(values[wrong])))
            raise UserError(f"{where}: label ids out of range: {ids}; expected {self.expected}")
        return label

    def decode(self, data: bytes, where: str) -> NDArray[np.uint8]:
        """Decode a PNG label map into class ids and 255, uint8 [H, W]; UserError if it is broken or holds other ids."""
        return self.relabel(decode_label(data, where), where)


@cache
def coco_stuff() -> ClassTable:
    """Return the 171 classes of COCO-Stuff: 80 things (raw ids 1..90) and 91 stuff classes (92..182).

    Eleven ids of 1..91 were never annotated (`street sign`, `hat`, ...) and have no class.
    """
    return _read("coco_stuff")


@cache
def ade20k() -> ClassTable:
    """Return the 150 classes of SceneParse150, raw ids 1..150, in the order of its objectInfo150.txt."""
    return _read("ade20k")


def coco_stuff_10k_images() -> dict[str, list[int]]:
    """Return the COCO image ids of COCO-Stuff-10K: `train` (9000) and `test` (1000), ascending.

    They are those of the lists that its authors publish (github.com/nightrome/cocostuff10k).
    """
    images: dict[str, list[int]] = _load("coco_stuff_10k.images")
    return images


def _read(name: str) -> ClassTable:
    rows = _load(f"{name}.classes")
    return ClassTable(tuple(row["name"] for row in rows), tuple(row["raw_id"] for row in rows))


def _load(name: str) -> Any:
    return json.loads((files("simformer.data") / "lists" / f"{name}.json").read_text(encoding="utf-8"))
