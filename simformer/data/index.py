"""The index of an audited dataset: what later stages know of its images without opening them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from simformer.data.identity import Identity
from simformer.data.sealed import entry, read_sealed, write_sealed
from simformer.errors import UserError

REMEDY = "delete it and run the audit of this dataset again (snakemake does)"


@dataclass(frozen=True)
class ImageRecord:
    """One image and its label map.

    Attributes:
        name: stem, unique over the dataset.
        image, label: paths below the dataset's root, with forward slashes.
        height, width: upright size in pixels, of both.
        labels: ids of all classes in the full label map, ascending, however few their pixels; 255 is not one. For a
            training image also those classes without masks that are stated to be present.
        image_sha256, label_sha256: checksums of the two files, hexadecimal.
        unknown: ids of the classes of which nobody says whether this training image shows them.
    """

    name: str
    image: str
    label: str
    height: int
    width: int
    labels: tuple[int, ...]
    image_sha256: str
    label_sha256: str
    unknown: tuple[int, ...] = ()


@dataclass(frozen=True)
class DatasetIndex:
    """An audited dataset.

    Attributes:
        classes: the K class names in id order.
        train, test: records of the two subsets, in list order.
        tags_only: ids of the classes that have no masks in the training images, ascending.
        where: the index's file, for messages.
    """

    classes: tuple[str, ...]
    train: tuple[ImageRecord, ...]
    test: tuple[ImageRecord, ...]
    where: str = field(default="the dataset's index", compare=False)
    tags_only: tuple[int, ...] = ()

    @cached_property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 of classes and training images: what tells one dataset from another.

        True label maps are left out, as hidden pixels must change nothing in what a weak training reads or writes; so
        are test images, as a corrected one must not make every training anew.
        """
        seen = [entry(record) | {"label_sha256": ""} for record in self.train]
        return hashlib.sha256(json.dumps([self.classes, seen]).encode()).hexdigest()[:16]

    @cached_property
    def test_hash(self) -> str:
        """First 16 hex digits of the sha256 of the test images and their label maps."""
        return hashlib.sha256(_lines(self.test).encode()).hexdigest()[:16]

    @property
    def identity(self) -> Identity:
        """The dataset as other files name it; nothing is hidden here."""
        return Identity(self.classes, self.hash, (), self.where)

    def save(self, path: Path) -> None:
        """Write the index as JSON, one record per line, atomically, with a seal."""
        write_sealed(path, self._text())

    def _text(self) -> str:
        subsets = ",\n".join(f'"{name}": [\n{_lines(getattr(self, name))}\n]' for name in ("train", "test"))
        tags = f'"tags_only": {json.dumps(self.tags_only)},\n' if self.tags_only else ""
        return f'{{"classes": {json.dumps(self.classes)},\n{tags}{subsets}\n}}\n'

    @staticmethod
    def load(path: Path) -> DatasetIndex:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing, edited, damaged, of an older version, or not such an index.
        """
        data = read_sealed(path, "dataset index", REMEDY)
        try:
            subsets = _records(data["train"]), _records(data["test"])
            return DatasetIndex(tuple(data["classes"]), *subsets, str(path), tuple(data.get("tags_only", ())))
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: a dataset index of another version ({error}); {REMEDY}") from None


def _lines(records: Sequence[ImageRecord]) -> str:
    """Return records as JSON objects, one per line."""
    return ",\n".join(json.dumps(entry(record)) for record in records)


def _records(items: list[dict[str, Any]]) -> tuple[ImageRecord, ...]:
    """Return records from their JSON objects."""
    values: list[dict[str, Any]] = [
        {key: tuple(value) if key in ("labels", "unknown") else value for key, value in item.items()} for item in items
    ]
    return tuple(ImageRecord(**value) for value in values)
