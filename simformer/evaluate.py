"""Evaluation against the true labels of the test images: of a trained network, or of any program's predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from simformer.build import TrainedModel
from simformer.config.settings import IGNORE, InferenceSettings
from simformer.data.identity import Identity, require_dataset
from simformer.data.images import read_label
from simformer.data.index import DatasetIndex, ImageRecord
from simformer.data.named_files import NamedFiles
from simformer.data.shards import WHOLE, Shard
from simformer.data.truth import read_truth
from simformer.errors import UserError, describe_problems
from simformer.inference import ImageFile, predict
from simformer.metrics import Evaluation, confusion_matrix

OTHER_PROGRAM = "predictions of another program"
"""What stands for the run of an evaluation that no run of a study has made."""


def evaluate(
    trained: TrainedModel,
    data: Path,
    index: DatasetIndex,
    settings: InferenceSettings,
    device: torch.device,
    output: Path,
    shard: Shard = WHOLE,
) -> Evaluation:
    """Predict the test images of one shard, and store the counts from which every metric is computed.

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
    images = [ImageFile.of(data, r) for r in _records(index, shard)]
    predicted = predict(trained.model, images, settings, device)
    result = _counted(predicted, data, index, shard, trained.identity, trained.config.hash)
    result.save(output)
    return result


def score(
    predictions: Path, data: Path, index: DatasetIndex, run: str | None = None, shard: Shard = WHOLE
) -> Evaluation:
    """Evaluate the predictions of any program in the same way as those of a network.

    Args:
        predictions: folder with `<name>.png` of every test image: class ids, one 8-bit channel, at the image's size.
            Every pixel needs a class; which one does not matter where the truth is unknown.
        data: folder of the prepared dataset.
        index: its audited index.
        run: hash of the run of a study that they stand for.
        shard: which of the test images.
    Raises: UserError if a prediction is missing, has another size, an id that is no class, or pixels without a class.
        All such predictions are named, up to 20.
    """
    identity = Identity(index.classes, index.hash, None, str(predictions))
    predicted = enumerate(_read_predictions(predictions, data, index, _records(index, shard)))
    found = _counted(predicted, data, index, shard, identity, run or OTHER_PROGRAM)
    return replace(found, predictions=str(predictions))


def _records(index: DatasetIndex, shard: Shard) -> list[ImageRecord]:
    """Return the test images of a shard."""
    return [index.test[position] for position in shard.positions(len(index.test))]


def _counted(
    predicted: Iterable[tuple[int, NDArray[np.uint8]]],
    data: Path,
    index: DatasetIndex,
    shard: Shard,
    identity: Identity,
    run: str,
) -> Evaluation:
    """Count the pixels of every class in predictions, (position in the shard, ids [H, W])."""
    records = _records(index, shard)
    side = len(index.classes) + 1
    total = np.zeros((side, side), dtype=np.int64)
    counts = np.zeros((3, len(records), side - 1), dtype=np.int64)
    for position, ids in predicted:
        matrix = confusion_matrix(ids, read_truth(data, records[position]), side - 1)
        total += matrix
        known = matrix[:-1, :-1]
        counts[:, position] = np.diag(known), known.sum(axis=0), known.sum(axis=1)
    hits, truth, predicted_pixels = counts
    return Evaluation(
        total,
        hits,
        truth,
        predicted_pixels,
        images=tuple(r.name for r in records),
        identity=replace(identity, dataset=index.hash),
        model=run,
        test=index.test_hash,
        shard=shard,
    )


def _read_predictions(
    folder: Path, data: Path, index: DatasetIndex, records: Sequence[ImageRecord]
) -> Iterator[NDArray[np.uint8]]:
    """Read the predictions of some images; see `score`."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the folder with <name>.png of every test image")
    files, count = NamedFiles(folder, (".png",), "prediction"), len(index.classes)
    problems = []
    for record in records:
        known = read_truth(data, record) != IGNORE
        try:
            ids = _read_prediction(files.find(record.name), known, count, data)
        except UserError as error:
            problems.append(str(error))
        else:
            yield ids
    if problems:
        raise UserError(describe_problems(folder, problems, "these predictions"))


def _read_prediction(path: Path, known: NDArray[np.bool_], count: int, data: Path) -> NDArray[np.uint8]:
    """Read one prediction, ids [H, W]; 0 where the truth is not `known`, bool [H, W]. UserError says what is wrong."""
    ids = read_label(path)
    if ids.shape != known.shape:
        found, expected = f"{ids.shape[1]}x{ids.shape[0]}", f"{known.shape[1]}x{known.shape[0]}"
        raise UserError(f"{path}: {found} pixels, the image has {expected}; write it at the image's own size")
    if len(wrong := np.unique(ids[known & (ids >= count)])):
        what = f"pixels without a class ({IGNORE})" if wrong[0] == IGNORE else f"id {wrong[0]}"
        raise UserError(
            f"{path}: {what}; expected ids 0 to {count - 1} at every pixel, in the order of {data / 'classes.json'}"
        )
    return np.where(known, ids, 0)
