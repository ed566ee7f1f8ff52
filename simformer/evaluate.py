"""Evaluation against the true labels of the test images."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from simformer.build import TrainedModel
from simformer.data.files import atomic_write_bytes, atomic_write_text, read_label
from simformer.data.index import DatasetIndex
from simformer.data.splits import Split
from simformer.errors import UserError
from simformer.inference import ImageFile, predict
from simformer.metrics import confusion_matrix, scores
from simformer.settings import InferenceSettings
from simformer.shards import WHOLE, Shard


@dataclass(frozen=True)
class Evaluation:
    """What the test images gave: every metric can be had from it, and its spread over images.

    Attributes:
        confusion: int64 [K + 1, K + 1] of `metrics.confusion_matrix`, summed over the images.
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


def evaluate(
    trained: TrainedModel,
    data: Path,
    index: DatasetIndex,
    settings: InferenceSettings,
    device: torch.device,
    output: Path,
    shard: Shard = WHOLE,
) -> Evaluation:
    """Predict the test images of one shard and store what every metric is made from.

    Args:
        trained: the network.
        data: folder of the prepared dataset.
        index: its audited index.
        settings: test-time sizes.
        device: of the network.
        output: `.npz` to write (see `Evaluation`).
        shard: which of the test images.
    Raises: UserError if the model was trained on other classes.
    """
    if tuple(index.classes) != trained.classes:
        raise UserError(
            f"{data}: the dataset's {len(index.classes)} classes are not the {len(trained.classes)} classes that the "
            "model was trained on; train it on this dataset"
        )
    side = len(index.classes) + 1
    records = [index.test[position] for position in shard.positions(len(index.test))]
    images = [ImageFile(data / r.image, r.height, r.width) for r in records]
    total = np.zeros((side, side), dtype=np.int64)
    counts = np.zeros((3, len(records), side - 1), dtype=np.int64)
    for position, predicted in predict(trained.model, images, settings, device):
        matrix = confusion_matrix(predicted, read_label(data / records[position].label), side - 1)
        total += matrix
        known = matrix[:-1, :-1]
        counts[:, position] = np.diag(known), known.sum(axis=0), known.sum(axis=1)
    result = Evaluation(total, *counts, images=tuple(r.name for r in records), classes=tuple(index.classes))
    result.save(output)
    return result


def write_metrics(shards: Sequence[Path], split: Split, output: Path) -> None:
    """Turn the stored shards of an evaluation into the percentages of one split (JSON)."""
    confusion = Evaluation.load(shards).confusion
    atomic_write_text(output, json.dumps(scores(confusion, split.classes, split.novel), indent=2) + "\n")
