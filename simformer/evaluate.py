"""Evaluation against the true labels of the test images."""

from __future__ import annotations

import io
import json
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


def evaluate(
    trained: TrainedModel,
    data: Path,
    index: DatasetIndex,
    settings: InferenceSettings,
    device: torch.device,
    output: Path,
) -> np.ndarray:
    """Predict every test image and store the confusion matrix, from which every metric can be had.

    Args:
        trained: the network.
        data: folder of the prepared dataset.
        index: its audited index.
        settings: test-time sizes.
        device: of the network.
        output: `.npz` with `confusion` int64 [K + 1, K + 1] (rows prediction, columns truth) and `classes`.
    Raises: UserError if the model was trained on other classes.
    """
    if tuple(index.classes) != trained.classes:
        raise UserError(
            f"{data}: the dataset's {len(index.classes)} classes are not the {len(trained.classes)} classes that the "
            "model was trained on; train it on this dataset"
        )
    images = [ImageFile(data / r.image, r.height, r.width) for r in index.test]
    total = np.zeros((len(index.classes) + 1,) * 2, dtype=np.int64)
    for position, predicted in predict(trained.model, images, settings, device):
        truth = read_label(data / index.test[position].label)
        total += confusion_matrix(predicted, truth, len(index.classes))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, confusion=total, classes=np.array(index.classes))
    atomic_write_bytes(output, buffer.getvalue())
    return total


def write_metrics(confusion: Path, split: Split, output: Path) -> None:
    """Turn a stored confusion matrix into the percentages of one split (JSON)."""
    with np.load(confusion) as content:
        matrix = content["confusion"]
    atomic_write_text(output, json.dumps(scores(matrix, split.classes, split.novel), indent=2) + "\n")
