"""Evaluation against the true labels of the test images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from simformer.build import TrainedModel
from simformer.data.images import read_label
from simformer.data.index import DatasetIndex
from simformer.errors import UserError
from simformer.inference import ImageFile, predict
from simformer.metrics import Evaluation, confusion_matrix
from simformer.settings import InferenceSettings
from simformer.shards import WHOLE, Shard


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
