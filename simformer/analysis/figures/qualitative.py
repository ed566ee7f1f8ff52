"""Figures 3, 8 and 9: test images with their truth, their base/novel map and the predictions of chosen methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from simformer.analysis.figures.pictures import Scene, choose_images, class_legend, named_images, show
from simformer.analysis.figures.style import PAGE, SMALLEST, figure_text, picture_rows, set_gaps
from simformer.build import TrainedModel
from simformer.config.settings import IGNORE
from simformer.data.palette import group_colours
from simformer.inference import predict

MANY = 10
"""Columns beyond which their titles need the smallest type."""


def qualitative_figure(models: dict[str, TrainedModel], scene: Scene, names: Sequence[str], count: int) -> Figure:
    """Draw one row per test image: image, truth, base/novel map, prediction of every model.

    Args:
        models: trained networks by column title.
        scene: where the images come from.
        names: of the test images; none: `count` of them, chosen by class and list order alone.
        count: number of images if none is named.
    """
    records = named_images(scene.index.test, names) or choose_images(scene.index.test, scene.split.novel, count)
    files = [scene.file(record) for record in records]
    predictions = [dict(predict(t.model, files, scene.inference, scene.device)) for t in models.values()]
    colours, groups = scene.colours, group_colours(len(scene.index.classes), scene.split.novel)
    titles = ["image", "truth", "base / novel", *models]
    heights = [min(record.height / record.width, 1.5) for record in records]
    figure, axes = picture_rows(heights, len(titles), PAGE, 0.6)
    shown: set[int] = set()
    for row, record in enumerate(records):
        truth = scene.truth(record)
        maps = [prediction[row] for prediction in predictions]
        shown |= set(np.unique(np.concatenate([m.ravel() for m in (truth, *maps)])).tolist()) - {IGNORE}
        pictures = [scene.image(record), colours[truth], groups[truth], *(colours[m] for m in maps)]
        for axis, picture in zip(axes[row], pictures, strict=True):
            show(axis, picture)
    for axis, name in zip(axes[0], titles, strict=True):
        axis.set_title(figure_text(name), fontsize=SMALLEST if len(titles) > MANY else None)
    class_legend(figure, scene, shown, groups=True)
    set_gaps(figure, 0.01, 0.01)
    return figure
