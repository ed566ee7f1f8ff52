"""What an audited dataset holds, counted by subset: the report that the audit writes and the audit page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simformer.atomic import atomic_write_text
from simformer.data.index import REMEDY
from simformer.errors import UserError
from simformer.text.strict_json import read_generated

REPORT = "report of an audit"


@dataclass(frozen=True)
class SubsetCounts:
    """What one subset (train or test) holds, over the images that are kept.

    Attributes:
        images: number of images.
        images_per_class: images in which each class appears, K counts.
        pixels_per_class: labelled pixels of each class, K counts.
        ignore_share: share of pixels labelled 255, in 0..1.
        dropped: names of images left out of the index because their label is entirely 255.
    """

    images: int
    images_per_class: tuple[int, ...]
    pixels_per_class: tuple[int, ...]
    ignore_share: float
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class AuditReport:
    """Counts of an audited dataset, by subset; the K class names in id order; what its owner should look at."""

    classes: tuple[str, ...]
    train: SubsetCounts
    test: SubsetCounts
    notes: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write the report as JSON, atomically."""
        atomic_write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> AuditReport:
        """Read what `save` wrote, or an older report without notes; UserError if it is not that."""
        data = read_generated(path, REPORT, {"classes": list, "train": dict, "test": dict}, remedy=REMEDY)
        try:
            train, test = (_counts(data[name]) for name in ("train", "test"))
            return AuditReport(tuple(data["classes"]), train, test, tuple(data.get("notes", ())))
        except (TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a {REPORT} of this version ({error}); {REMEDY}") from None


def _counts(content: Mapping[str, Any]) -> SubsetCounts:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    return SubsetCounts(**values)
