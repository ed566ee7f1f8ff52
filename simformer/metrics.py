"""Confusion matrix and the IoU figures made from it (detectron2's present rule, Sec. 4.1)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simformer.data.files import atomic_write_bytes, atomic_write_text
from simformer.data.splits import Split
from simformer.json_text import json_text
from simformer.settings import IGNORE


@dataclass(frozen=True)
class Evaluation:
    """What the test images gave: every metric can be had from it, and its spread over images.

    Attributes:
        confusion: int64 [K + 1, K + 1] of `confusion_matrix`, summed over the images.
        hits, truth, predicted: pixels per image and class, int64 [images, K]: of the class and predicted as it; of
            the class; predicted as it where the truth is known.
        images: names of the images.
        classes: K names.
    """

    confusion: np.ndarray
    hits: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    images: tuple[str, ...]
    classes: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write `.npz`, atomically."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: np.asarray(value) for name, value in vars(self).items()})
        atomic_write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, shards: Sequence[Path]) -> Evaluation:
        """Read the shards of one evaluation and join them; the images are in the order of their names."""
        parts = []
        for path in shards:
            with np.load(path) as content:
                parts.append({name: content[name] for name in cls.__dataclass_fields__})
        images = np.concatenate([part["images"] for part in parts])
        order = np.argsort(images)
        counts = {
            name: np.concatenate([part[name] for part in parts])[order] for name in ("hits", "truth", "predicted")
        }
        confusion = np.sum([part["confusion"] for part in parts], axis=0)
        return cls(confusion, **counts, images=tuple(images[order]), classes=tuple(parts[0]["classes"]))


def confusion_matrix(predicted: np.ndarray, truth: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pixels by (prediction, truth).

    Args:
        predicted: class ids, any integer shape, in 0..K-1.
        truth: class ids of the same shape; IGNORE is counted in the last column.
        num_classes: K.
    Returns: int64 [K + 1, K + 1], rows = prediction, columns = truth; the last row is empty.
    Raises: ValueError for shapes that differ or ids out of range.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"prediction {predicted.shape} and truth {truth.shape} differ in shape")
    side = num_classes + 1
    known = truth[truth != IGNORE]
    if any(ids.min(initial=0) < 0 or ids.max(initial=0) >= num_classes for ids in (known, predicted)):
        raise ValueError(f"class ids must be below {num_classes} (or {IGNORE} in the truth)")
    columns = np.where(truth == IGNORE, num_classes, truth).astype(np.int64)
    flat = predicted.astype(np.int64).ravel() * side + columns.ravel()
    return np.bincount(flat, minlength=side * side).reshape(side, side)


def scores(confusion: np.ndarray, classes: Sequence[str], novel: Sequence[int]) -> dict[str, Any]:
    """Turn a confusion matrix into percentages.

    Args:
        confusion: [K + 1, K + 1] of `confusion_matrix`; pixels whose truth is IGNORE count nowhere.
        classes: K names.
        novel: ids of the novel classes.
    Returns: `novel`, `base`, `all` (mean IoU), the same with suffix `_acc` (mean accuracy), `pixel_acc`,
        `fw_iou`, and `iou` by class name; a class absent from the truth has None and is in no mean; a mean
        over no class is None.
    """
    counts = confusion[:-1, :-1].astype(np.float64)
    hits, truth, predicted = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    present = truth > 0
    iou = np.full(len(classes), np.nan)
    iou[present] = hits[present] / (truth + predicted - hits)[present]
    accuracy = np.full(len(classes), np.nan)
    accuracy[present] = hits[present] / truth[present]
    is_novel = np.isin(np.arange(len(classes)), list(novel))
    groups = {"novel": is_novel, "base": ~is_novel, "all": np.ones_like(is_novel)}
    total = truth.sum()
    result: dict[str, Any] = {name: _mean(iou[chosen & present]) for name, chosen in groups.items()}
    result |= {f"{name}_acc": _mean(accuracy[chosen & present]) for name, chosen in groups.items()}
    result["pixel_acc"] = 100 * float(hits.sum() / total) if total else None
    result["fw_iou"] = 100 * float(np.nansum(truth * iou) / total) if total else None
    result["iou"] = {name: None if math.isnan(v) else 100 * float(v) for name, v in zip(classes, iou, strict=True)}
    return result


def _mean(values: np.ndarray) -> float | None:
    return 100 * float(values.mean()) if len(values) else None


def write_metrics(shards: Sequence[Path], split: Split, output: Path) -> None:
    """Turn the stored shards of an evaluation into the percentages of one split (JSON)."""
    confusion = Evaluation.load(shards).confusion
    atomic_write_text(output, json_text(scores(confusion, split.classes, split.novel), indent=2) + "\n")
