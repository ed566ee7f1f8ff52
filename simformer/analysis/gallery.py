"""Test images beside their truth, their base/novel map and the predictions of chosen methods (as in Fig. 3)."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Patch

from simformer.analysis.palette import (
    BASE_COLOUR,
    IGNORE_COLOUR,
    NOVEL_COLOUR,
    class_colours,
    group_colours,
)
from simformer.build import TrainedModel
from simformer.data.files import atomic_write_bytes, read_image, read_label
from simformer.data.index import DatasetIndex, ImageRecord
from simformer.data.splits import Split
from simformer.inference import ImageFile, predict
from simformer.settings import IGNORE, InferenceSettings


def choose_images(records: tuple[ImageRecord, ...], novel: tuple[int, ...], count: int) -> list[ImageRecord]:
    """Choose test images with novel classes, evenly over the list, each novel class in turn; no look at results."""
    chosen: list[ImageRecord] = []
    by_class = [[r for r in records if c in r.labels] for c in novel]
    position = 0
    while len(chosen) < count and any(len(group) > position for group in by_class):
        for group in by_class:
            if position < len(group) and group[position] not in chosen and len(chosen) < count:
                chosen.append(group[position])
        position += 1
    return chosen or list(records[:count])


def draw_gallery(
    models: dict[str, TrainedModel],
    data: Path,
    index: DatasetIndex,
    split: Split,
    settings: InferenceSettings,
    device: torch.device,
    count: int,
    output: Path,
) -> None:
    """Draw one row per test image: image, truth, base/novel map, prediction of every model.

    Args:
        models: trained networks by column title.
        data: folder of the prepared dataset.
        index: its audited index.
        split: base and novel classes.
        settings: test-time sizes.
        device: of the networks.
        count: number of images, chosen by class and list order alone.
        output: PNG to write.
    """
    records = choose_images(index.test, split.novel, count)
    files = [ImageFile(data / r.image, r.height, r.width) for r in records]
    predictions = {title: dict(predict(t.model, files, settings, device)) for title, t in models.items()}
    colours, groups = class_colours(len(index.classes)), group_colours(len(index.classes), split.novel)
    titles = ["image", "truth", "base / novel", *models]
    figure, axes = plt.subplots(
        len(records),
        len(titles),
        figsize=(2.2 * len(titles), 2.0 * len(records)),
        squeeze=False,
        layout="constrained",
    )
    shown: set[int] = set()
    for row, record in enumerate(records):
        truth = read_label(data / record.label)
        maps = [predictions[title][row] for title in models]
        shown |= set(np.unique(np.stack([truth, *maps])).tolist()) - {IGNORE}
        pictures = [read_image(files[row].path), colours[truth], groups[truth], *(colours[m] for m in maps)]
        for axis, picture in zip(axes[row], pictures, strict=True):
            axis.imshow(picture, interpolation="nearest")
            axis.set_axis_off()
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    names = [f"{index.classes[c]} (novel)" if c in split.novel else index.classes[c] for c in sorted(shown)]
    handles = [Patch(color=colours[c] / 255, label=name) for c, name in zip(sorted(shown), names, strict=True)]
    for colour, name in ((BASE_COLOUR, "base"), (NOVEL_COLOUR, "novel"), (IGNORE_COLOUR, "unlabelled")):
        handles.append(Patch(color=np.array(colour) / 255, label=name))
    figure.legend(handles=handles, loc="outside lower center", ncols=2 * len(titles) - 2, fontsize=7, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    plt.close(figure)
    atomic_write_bytes(output, buffer.getvalue())
