"""Figure 7: two kinds of failures, as in the paper: a proposal of the wrong class, and a mask hidden by others."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simformer.analysis.figures.pictures import Scene, class_legend, masked, named_images, show
from simformer.analysis.figures.proposals import Proposals, propose
from simformer.analysis.figures.style import PAGE, figure_text, set_gaps
from simformer.build import TrainedModel
from simformer.config.settings import IGNORE
from simformer.data.index import ImageRecord

Kind = Literal["misclassified", "drowned"]
HEADINGS: dict[Kind, str] = {
    "misclassified": "(a) a proposal that fits the region has another class",
    "drowned": "(b) a proposal that fits, of the right class, loses to others",
}
SMALLEST_REGION = 0.01
"""Share of the image below which a region is not looked at."""
FITS = 0.5
"""IoU with the region from which a proposal's mask fits it."""
EMPTY = 0.4
"""Width of the part of a kind without failures, as a share of a part with some."""
LOST = 0.25
"""Share of the region's pixels that the prediction gives to other classes, from which it is a failure."""


@dataclass(frozen=True)
class Failure:
    """A novel region that the prediction loses although a proposal's mask fits it.

    Attributes:
        record: the image.
        kind: what went wrong.
        class_id: true class of the region.
        predicted: class of the proposal (misclassified) or of most of the region's pixels (drowned).
        score: class probability of the proposal.
        lost: pixels of the region that are predicted as another class.
        mask: of the proposal, bool [H, W].
        prediction: class of every pixel, uint8 [H, W].
    """

    record: ImageRecord
    kind: Kind
    class_id: int
    predicted: int
    score: float
    lost: int
    mask: np.ndarray
    prediction: np.ndarray


def fused_classes(found: Proposals) -> np.ndarray:
    """Class of every pixel from all proposals of an image, as inference fuses them, uint8 [H, W]."""
    queries, height, width = found.masks.shape
    scores = found.classes[:, :-1].T @ found.masks.reshape(queries, -1)
    classes: np.ndarray = scores.argmax(axis=0).astype(np.uint8)
    return classes.reshape(height, width)


def find_failures(
    found: Proposals, prediction: np.ndarray, truth: np.ndarray, record: ImageRecord, novel: Sequence[int]
) -> Iterator[Failure]:
    """Find the failures of one image, at most one per novel class that it shows.

    Of the proposals that are an object rather than none, the one counts whose mask fits the region best.

    Args:
        found: its proposals.
        prediction: class of every pixel, [H, W].
        truth: true classes, [H, W].
        record: the image.
        novel: ids of the novel classes.
    """
    classes = found.classes.argmax(axis=1)
    objects = np.flatnonzero(classes < found.classes.shape[1] - 1)
    masks = found.masks[objects] >= 0.5
    for c in sorted(set(np.unique(truth).tolist()) & set(novel)):
        region = truth == c
        wrong = prediction[region & (prediction != c)]
        if region.mean() < SMALLEST_REGION or len(wrong) < LOST * region.sum() or not len(objects):
            continue
        common = (masks & region).sum(axis=(1, 2))
        iou = common / (masks | region).sum(axis=(1, 2))
        best = int(iou.argmax())
        if iou[best] < FITS:
            continue
        k = int(classes[objects[best]])
        kind: Kind = "drowned" if k == c else "misclassified"
        other = int(np.bincount(wrong).argmax()) if k == c else k
        score = float(found.classes[objects[best], k])
        yield Failure(record, kind, c, other, score, len(wrong), masks[best], prediction)


def all_failures(trained: TrainedModel, scene: Scene, names: Sequence[str]) -> list[Failure]:
    """Find the failures of some test images, or without names of all; those that lose most of their image first."""
    failures: list[Failure] = []
    for record in named_images(scene.index.test, names) or scene.index.test:
        if not set(record.labels).isdisjoint(scene.split.novel):
            found = propose(trained, scene, record)
            failures += find_failures(found, fused_classes(found), scene.truth(record), record, scene.split.novel)
    return sorted(failures, key=lambda f: -f.lost / (f.record.height * f.record.width))


def failures_figure(scene: Scene, failures: Sequence[Failure], count: int) -> Figure:
    """Draw the worst failures of both kinds: image, truth, prediction, and the proposal that fits the lost region.

    Args:
        scene: where the images come from.
        failures: the worst first.
        count: failures of each kind.
    """
    kinds = {kind: [f for f in failures if f.kind == kind] for kind in HEADINGS}
    rows = max(1, min(count, max(map(len, kinds.values()))))
    figure = plt.figure(figsize=(PAGE, rows * (PAGE / 8 + 0.17) + 0.85), layout="constrained")
    shown: set[int] = set()
    widths = [1 if mine else EMPTY for mine in kinds.values()]
    parts = figure.subfigures(1, 2, squeeze=False, wspace=0.02, width_ratios=widths)[0]
    for part, (kind, mine) in zip(parts, kinds.items(), strict=True):
        heading = textwrap.fill(HEADINGS[kind], 70 if mine else 30)
        part.suptitle(f"{heading}\n{len(mine)} found in the test images", fontsize=7)
        if not mine:
            continue
        axes = part.subplots(rows, 4, squeeze=False)
        for line, failure in zip(axes, mine[:rows], strict=False):
            shown |= _draw(line, scene, failure)
        for line in axes[len(mine[:rows]) :]:
            for axis in line:
                axis.set_axis_off()
        for axis, name in zip(axes[0], ("image", "truth", "prediction", "proposal"), strict=True):
            axis.set_title(name)
    class_legend(figure, scene, shown)
    set_gaps(figure, 0.01, 0.02)
    return figure


def _draw(line: Sequence[Axes], scene: Scene, failure: Failure) -> set[int]:
    """Draw one failure; returns the classes that it shows."""
    names = [figure_text(name) for name in scene.index.classes]
    colours, truth = scene.colours, scene.truth(failure.record)
    image, proposed = scene.image(failure.record), failure.class_id if failure.kind == "drowned" else failure.predicted
    pictures = [image, colours[truth], colours[failure.prediction], masked(image, failure.mask, colours[proposed])]
    for axis, picture in zip(line, pictures, strict=True):
        show(axis, picture)
    for axis in line[1:3]:
        axis.contour(truth == failure.class_id, levels=[0.5], colors="white", linewidths=0.9)
    line[1].set_xlabel(names[failure.class_id])
    share = failure.lost / (truth == failure.class_id).sum()
    taken = f"{share:.0%} lost" + (f"\nto {names[failure.predicted]}" if failure.kind == "drowned" else "")
    line[2].set_xlabel(taken)
    line[3].set_xlabel(f"{names[proposed]} {failure.score:.2f}")
    return {*np.unique(truth).tolist(), *np.unique(failure.prediction).tolist(), proposed} - {IGNORE}
