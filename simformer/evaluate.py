"""Evaluation against the true labels of the test images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from simformer.build import TrainedModel
from simformer.config.settings import InferenceSettings
from simformer.data.identity import require_dataset
from simformer.data.index import DatasetIndex
from simformer.data.shards import WHOLE, Shard
from simformer.data.truth import read_truth
from simformer.inference import ImageFile, predict
from simformer.metrics import Evaluation, confusion_matrix


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
    Raises: UserError if the model was trained on another dataset, or an image has changed since the audit.
    """
    require_dataset(trained.identity, index.identity)
    side = len(index.classes) + 1
    records = [index.test[position] for position in shard.positions(len(index.test))]
    images = [ImageFile.of(data, r) for r in records]
    total = np.zeros((side, side), dtype=np.int64)
    counts = np.zeros((3, len(records), side - 1), dtype=np.int64)
    for position, predicted in predict(trained.model, images, settings, device):
        matrix = confusion_matrix(predicted, read_truth(data, records[position]), side - 1)
        total += matrix
        known = matrix[:-1, :-1]
        counts[:, position] = np.diag(known), known.sum(axis=0), known.sum(axis=1)
    result = Evaluation(
        total,
        *counts,
        images=tuple(r.name for r in records),
        identity=replace(trained.identity, dataset=index.hash, where=str(output)),
        model=trained.config.hash,
        test=index.test_hash,
        shard=shard,
    )
    result.save(output)
    return result
