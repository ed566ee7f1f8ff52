"""The index of an audited dataset: what later stages know of its images without opening them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simformer.data.files import atomic_write_text
from simformer.errors import UserError


@dataclass(frozen=True)
class ImageRecord:
    """One image and its label map.

    Attributes:
        name: stem, unique over the dataset.
        image, label: paths below the dataset's root, with forward slashes.
        height, width: upright size in pixels, of both.
        labels: ids of all classes in the full label map, ascending, however few their pixels; 255 is not one.
        image_sha256, label_sha256: checksums of the two files, hexadecimal.
    """

    name: str
    image: str
    label: str
    height: int
    width: int
    labels: tuple[int, ...]
    image_sha256: str
    label_sha256: str


@dataclass(frozen=True)
class DatasetIndex:
    """An audited dataset: the K class names in id order, and the records of its two subsets in list order."""

    classes: tuple[str, ...]
    train: tuple[ImageRecord, ...]
    test: tuple[ImageRecord, ...]

    def save(self, path: Path) -> None:
        """Write the index as JSON, one record per line, atomically."""
        subsets = ",\n".join(f'"{name}": [\n{_lines(getattr(self, name))}\n]' for name in ("train", "test"))
        atomic_write_text(path, f'{{\n"classes": {json.dumps(self.classes)},\n{subsets}\n}}\n')

    @staticmethod
    def load(path: Path) -> DatasetIndex:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing or not such an index.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return DatasetIndex(tuple(data["classes"]), _records(data["train"]), _records(data["test"]))
        except FileNotFoundError:
            raise UserError(f"{path}: no dataset index; run the audit of this dataset first") from None
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not a dataset index ({type(error).__name__}: {error}); remove it and run the audit again"
            ) from error


def _lines(records: Sequence[ImageRecord]) -> str:
    """Return records as JSON objects, one per line."""
    return ",\n".join(json.dumps(asdict(record)) for record in records)


def _records(items: list[dict[str, Any]]) -> tuple[ImageRecord, ...]:
    """Return records from their JSON objects."""
    return tuple(ImageRecord(**{**item, "labels": tuple(item["labels"])}) for item in items)
