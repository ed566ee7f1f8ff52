"""Figure 4: the proposals of an image with the highest novel scores, and whether the image shows their class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from simformer.analysis.figures.pictures import Scene, choose_images, class_legend, frame, masked, named_images, show
from simformer.analysis.figures.style import LINES, PAGE, figure_text, picture_rows, set_gaps
from simformer.build import TrainedModel
from simformer.config.settings import IGNORE
from simformer.data.index import ImageRecord
from simformer.inference import network_input, proposals

SHOWN = 4
"""Proposals per image."""


@dataclass(frozen=True)
class Proposals:
    """Probabilities of the N proposals of an image: of classes [N, K + 1], the last no object; of masks [N, H, W]."""

    classes: np.ndarray
    masks: np.ndarray


def propose(trained: TrainedModel, scene: Scene, record: ImageRecord) -> Proposals:
    """Infer the proposals of one image, at its own size."""
    images = network_input(scene.file(record), scene.inference, scene.device)
    classes, masks = proposals(trained.model, images, (record.height, record.width))
    return Proposals(classes[0].cpu().numpy(), masks[0].cpu().numpy())


def rank_by_novel_score(classes: np.ndarray, novel: Sequence[int]) -> list[tuple[int, int, float]]:
    """Rank proposals by their novel score: the probability of their likeliest novel class.

    Args:
        classes: class probabilities, [N, K + 1].
        novel: ids of the novel classes.
    Returns: (proposal, novel class, score), the highest score first; equal ones in the order of the proposals.
    """
    scores = classes[:, list(novel)]
    best = scores.argmax(axis=1)
    order = np.argsort(-scores.max(axis=1), kind="stable")
    return [(int(q), int(novel[best[q]]), float(scores[q, best[q]])) for q in order]


def proposals_figure(trained: TrainedModel, scene: Scene, names: Sequence[str], count: int) -> Figure:
    """Draw one row per test image: image, truth, and its SHOWN proposals of the highest novel score.

    Args:
        trained: the network.
        scene: where the images come from.
        names: of the test images; none: `count` of them, chosen by class and list order alone.
        count: number of images if none is named.
    """
    records = named_images(scene.index.test, names) or choose_images(scene.index.test, scene.split.novel, count)
    classes = [figure_text(name) for name in scene.index.classes]
    heights = [min(record.height / record.width, 1.5) + 0.29 for record in records]
    figure, axes = picture_rows(heights, 2 + SHOWN, PAGE, 0.6)
    colours, shown = scene.colours, set[int]()
    for line, record in zip(axes, records, strict=True):
        image, truth = scene.image(record), scene.truth(record)
        shown |= set(np.unique(truth).tolist()) - {IGNORE}
        show(line[0], image)
        show(line[1], colours[truth])
        novel = ", ".join(classes[c] for c in record.labels if c in scene.split.novel)
        line[1].set_xlabel(f"novel: {novel or 'none'}")
        found = propose(trained, scene, record)
        ranked = rank_by_novel_score(found.classes, scene.split.novel)[:SHOWN]
        for axis, (query, c, score) in zip(line[2:], ranked, strict=False):
            show(axis, masked(image, found.masks[query], colours[c]))
            shown.add(c)
            present = c in record.labels
            frame(axis, *((LINES[0][0], "-") if present else (LINES[1][0], "--")))
            axis.set_xlabel(f"{classes[c]} {score:.2f}\n{'in the image' if present else 'not in the image'}")
        for axis in line[2 + len(ranked) :]:
            axis.set_axis_off()
    axes[0, 0].set_title("image")
    axes[0, 1].set_title("truth")
    for number, axis in enumerate(axes[0, 2:], 1):
        axis.set_title(f"proposal {number}")
    class_legend(figure, scene, shown)
    set_gaps(figure, 0.02, 0.02)
    return figure
