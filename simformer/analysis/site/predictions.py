"""The part of the gallery site that belongs to one trained model: its predictions, their IoU, SimNet's similarities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from simformer.analysis.site.assets import packed, write_label_script, write_script
from simformer.analysis.site.similarity import LEVELS, quantise, similarity_grid
from simformer.build import TrainedModel
from simformer.config.settings import InferenceSettings
from simformer.data.identity import require_dataset
from simformer.data.index import DatasetIndex, ImageRecord
from simformer.data.palette import class_colours
from simformer.data.truth import read_truth
from simformer.inference import ImageFile, network_input, predict
from simformer.metrics import confusion_matrix, scores


def write_predictions(
    trained: TrainedModel,
    data: Path,
    index: DatasetIndex,
    settings: InferenceSettings,
    device: torch.device,
    output: Path,
) -> None:
    """Write one model's predictions of the test images for the site.

    Beside `output`: `maps/<name>.js`, and `similarity/`, with `<name>.js` if the model has a SimNet.

    Args:
        trained: the networks.
        data: folder of the prepared dataset.
        index: its audited index.
        settings: test-time sizes.
        device: of the networks.
        output: `predictions.js`: IoU in percent of every image's present classes, and of every class over all images.
    Raises: UserError if the model was trained on another dataset.
    """
    require_dataset(trained.identity, index.identity)
    colours, count = class_colours(len(index.classes)), len(index.classes)
    images = [ImageFile.of(data, r) for r in index.test]
    total = np.zeros((count + 1, count + 1), dtype=np.int64)
    of_images: list[list[float | None]] = [[] for _ in images]
    for position, ids in predict(trained.model, images, settings, device):
        record = index.test[position]
        matrix = confusion_matrix(ids, read_truth(data, record), count)
        total += matrix
        iou = scores(matrix, index.classes, ())["iou"]
        of_images[position] = [_rounded(iou[index.classes[k]], 0) for k in record.labels]
        write_label_script(output.parent / "maps" / f"{record.name}.js", ids, colours)
    similarity = output.parent / "similarity"
    similarity.mkdir(exist_ok=True)
    for record in index.test if trained.simnet is not None else ():
        _write_similarity(trained, data, record, settings, device, similarity)
    of_classes = [_rounded(value, 2) for value in scores(total, index.classes, ())["iou"].values()]
    write_script(output, {"similarity": trained.simnet is not None, "classes": of_classes, "images": of_images})


def _rounded(value: float | None, digits: int) -> float | None:
    """Return a number as the site has it: null where there is none, whole numbers without a point."""
    return None if value is None else round(value, digits or None)


def _write_similarity(
    trained: TrainedModel,
    data: Path,
    record: ImageRecord,
    settings: InferenceSettings,
    device: torch.device,
    folder: Path,
) -> None:
    assert trained.simnet is not None
    image = network_input(ImageFile.of(data, record), settings, device)
    similarity, size = similarity_grid(trained.model, trained.simnet, image)
    content = {
        "rows": size[0],
        "columns": size[1],
        "levels": LEVELS,
        "data": packed(quantise(similarity.cpu().numpy())),
    }
    write_script(folder / f"{record.name}.js", content)
