"""Quality of the labels that methods are re-trained on, and the result of the re-training (RETAB's check C6)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simformer.analysis.markup import line, strong
from simformer.analysis.tables.numbers import number
from simformer.analysis.tables.table_text import markdown, write_page
from simformer.claims.label_measures import iou_counts
from simformer.claims.maps import IMAGES, chosen_images
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.identity import require_split, require_truth
from simformer.data.labels import LabelledImage, LabelSet
from simformer.metrics import run_metrics

GAP = 2.0
"""If labels differ by more than this, in percentage points, methods should keep their order after re-training."""
NOTE = (
    "Percent, mean over seeds (n: {seeds}). Labels: mean IoU over the novel classes, the share of novel pixels that "
    "stay unlabelled, and the share of the pixels of no class (true label 255) that are labelled as a novel class. The "
    f"first does not count the last. On at most {IMAGES} training images with novel classes. Scoring reads their true "
    "masks. Re-trained: mean IoU on the test images."
)
COLUMNS = {
    "labels": "labels: novel mIoU", "unlabelled": "labels: novel pixels at 255",
    "clutter": "labels: pixels of no class labelled",
    "novel": "re-trained: novel mIoU", "base": "re-trained: base mIoU",
}  # fmt: skip


def label_quality(spec: dict[str, Any]) -> pd.DataFrame:
    """Score the label sets behind the re-trained methods of a table.

    Args:
        spec: `runs` (list of {dataset, split, method, seed, path to metrics.json, labels: label set that it was trained
            on, masked and truth: label sets of the split and with all masks}).
    Returns: one line per run: dataset, split, method, seed, and COLUMNS, percent; NaN where the
        images hold no pixel of these classes.
    """
    lines = []
    for run in spec["runs"]:
        labels, masked, truth = (LabelSet.load(Path(run[name])) for name in ("labels", "masked", "truth"))
        require_truth(truth.identity, masked.identity)
        require_split(labels.identity, masked.identity)
        metrics = run_metrics(run, "novel", "base")
        cell = {name: run[name] for name in ("dataset", "split", "method", "seed")}
        lines.append(cell | _quality(labels, masked, truth) | {name: metrics[name] for name in ("novel", "base")})
    return pd.DataFrame(lines).astype(dict.fromkeys(COLUMNS, float))


def _quality(labels: LabelSet, masked: LabelSet, truth: LabelSet) -> dict[str, float]:
    given, true = ({image.name: image for image in found.images} for found in (labels, truth))
    counts = np.zeros((len(masked.novel), 2), np.int64)
    left = pixels = labelled = clutter = 0
    for image in chosen_images(masked):
        real = read_label_map(truth, true[image.name])
        found = _label(labels, given.get(image.name), real)
        novel = np.isin(real, masked.novel)
        counts += iou_counts(found, real, masked.novel)
        left += int((novel & (found == IGNORE)).sum())
        pixels += int(novel.sum())
        labelled += int(((real == IGNORE) & np.isin(found, masked.novel)).sum())
        clutter += int((real == IGNORE).sum())
    held = counts[counts[:, 1] > 0]
    return {
        "labels": 100 * float((held[:, 0] / held[:, 1]).mean()) if len(held) else math.nan,
        "unlabelled": 100 * left / pixels if pixels else math.nan,
        "clutter": 100 * labelled / clutter if clutter else math.nan,
    }


def _label(labels: LabelSet, image: LabelledImage | None, like: np.ndarray) -> np.ndarray:
    """Read a label map; an image without any label is not in its label set."""
    return np.full_like(like, IGNORE) if image is None else read_label_map(labels, image)


def order_kept(labels: Sequence[float], retrained: Sequence[float]) -> tuple[int, int]:
    """Count the pairs of methods whose labels differ by more than GAP points, and those whose order stays.

    Args:
        labels, retrained: mean IoU of each method's labels, and of its re-training; a method without one of the two
            is left out.
    Returns: pairs that keep their order, and all pairs.
    """
    methods = [pair for pair in zip(labels, retrained, strict=True) if all(map(math.isfinite, pair))]
    far = [(a, b) for a, b in itertools.combinations(methods, 2) if abs(a[0] - b[0]) > GAP]
    return sum((a[0] > b[0]) == (a[1] > b[1]) and a[1] != b[1] for a, b in far), len(far)


def write_label_quality(spec: dict[str, Any], csv: Path) -> None:
    """Write the lines as `csv`, and beside it as Markdown, a table per dataset and split.

    Args:
        spec: see `label_quality`; also `title` and `rows` (list of {method, label}).
        csv: path of the csv.
    """
    table = label_quality(spec)
    names = {row["method"]: row["label"] for row in spec["rows"]}
    parts = [strong(f"{spec['title']}: labels and what re-training makes of them")]
    for (dataset, split), lines in table.groupby(["dataset", "split"], sort=False):
        means = lines.groupby("method", sort=False)[list(COLUMNS)].mean()
        shown = means.map(number, form=".1f").rename(columns=COLUMNS).set_axis([names[m] for m in means.index])
        kept, pairs = order_kept(means["labels"].tolist(), means["novel"].tolist())
        spread = means["base"].max() - means["base"].min()
        parts += [
            line(f"{dataset} {split}"),
            markdown(shown, "method"),
            f"{kept} of {pairs} pairs of methods whose labels differ by more than {GAP:g} points have the same order "
            f"after the re-training; base mIoU of the rows spans {number(spread, '.1f')} points (check C6).",
        ]
    seeds = int(table.groupby(["dataset", "split", "method"]).size().max())
    write_page(csv, table, [*parts, NOTE.format(seeds=seeds)])
