"""Why a training fails on novel classes: overlap of their masks, pixels that go to other classes, labels lost by crops.

Scoring code: it reads the true masks of training images, and nothing that labels pixels reads what it writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from simformer.analysis.figures.diagnostics import diagnostics_figure
from simformer.analysis.figures.style import DPI, figure_style, write_png
from simformer.analysis.markup import line, strong
from simformer.analysis.tables.numbers import NONE, number
from simformer.analysis.tables.table_text import markdown, write_page
from simformer.build import TrainedModel, load_model
from simformer.claims.lost_labels import EPOCHS, lost_labels
from simformer.claims.maps import chosen_images
from simformer.claims.novel_masks import NovelMasks
from simformer.config.settings import AugmentSettings, InferenceSettings
from simformer.data.identity import require_dataset, require_groups, require_novel
from simformer.data.index import DatasetIndex
from simformer.data.labels import LabelledImage, LabelSet
from simformer.data.loader import TrainingGroups
from simformer.data.splits import Split
from simformer.data.truth import read_truth
from simformer.inference import ImageFile, network_input, proposals
from simformer.metrics import told_novel

IMAGES = 200
"""Training images with novel classes that are looked at, at most; evenly over the list."""
OWN, OVERLAP, LOST = 0.6, 0.3, 10.0
"""Bounds of a warning: lowest mask value on own pixels, highest overlap, highest percentage of lost labels."""
NOTE = f"""Measured on at most {IMAGES} training images with novel classes, at inference sizes, without augmentation, \
with their true masks. The query of a class in an image is the one that gives the class the highest probability. The \
mask of this query counts as the mask of the class. (!) marks a warning: docs/troubleshooting.md says what to do.

- own pixels: mean value of the mask of a class, 0 to 1, on its own pixels. Below {OWN:g} the mask misses its class.
- other novel pixels: the same on pixels of other novel classes of the image. Above {OVERLAP:g} novel masks overlap.
- under two masks: share of the novel pixels on which two or more of these masks exceed 0.5, in images with two novel \
classes or more. Above {100 * OVERLAP:g} % novel masks overlap.
- right among own: share of the novel pixels that get their class if only the novel classes of the image compete.
- right: the same if all classes compete, as in inference. If it is much lower, other classes win.
- takes most: the class that takes most of the wrong pixels, its share of them, and the class that loses most to it.
- one query: share of the images in which a novel class has its usual query, mean over classes.
- The line above a table: share of the image-level novel labels whose class has no pixel in a training crop, in \
{EPOCHS} crops of each image; lowest and highest if methods crop differently. L_cls still demands these classes, \
except from methods that do not train on image-level labels. Above {LOST:g} %, crops lose too many \
labels. Clutter means pixels that belong to no class."""


def diagnostics(spec: dict[str, Any], device: torch.device) -> pd.DataFrame:
    """Measure the networks of an experiment on training images.

    Args:
        spec: `runs` (list of {dataset, split, method, seed, novel, hash, model: file of its network, masked: label set
            of the split, index: of the dataset}), `inference` (dataset -> settings of test-time sizes).
        device: of the networks.
    Returns: one line per run: dataset, split, method, seed, images (their number), and the values of
        `NovelMasks.result` and `lost_labels`. Those of the latter are equal in all runs of a dataset and split that
        crop alike: the crops are those of the first.
    Raises: UserError if a model, label set or image is of another dataset, split or run.
    """
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in spec["runs"]:
        places.setdefault((run["dataset"], run["split"]), []).append(run)
    lines = []
    for (dataset, _), runs in places.items():
        images = _Images(runs[0])
        settings = InferenceSettings.model_validate(spec["inference"][dataset])
        crops: dict[AugmentSettings, dict[str, float]] = {}
        for run in runs:
            trained = load_model(Path(run["model"]), device, run["hash"])
            require_dataset(trained.identity, images.masked.identity)
            require_groups(trained.identity, images.split)
            augment = trained.config.settings.augment
            if augment not in crops:
                crops[augment] = images.crops(augment, trained.config.seed)
            cell = {name: run[name] for name in ("dataset", "split", "method", "seed")}
            found = images.masks(trained, settings, device).result()
            lines.append(cell | {"images": len(images.chosen)} | found | crops[augment])
    return pd.DataFrame(lines)


class _Images:
    """The training images of one dataset and split that are looked at, with their true masks."""

    def __init__(self, run: dict[str, Any]) -> None:
        index = DatasetIndex.load(Path(run["index"]))
        self.data = Path(run["index"]).parent
        self.masked = LabelSet.load(Path(run["masked"]))
        self.split = Split(self.masked.classes, self.masked.novel, run["masked"])
        require_dataset(index.identity, self.masked.identity)
        Split(index.classes, ()).refuse_maskless(index.tags_only)
        require_novel(self.split, told_novel(run["novel"]), run["split"])
        self.records = {record.name: record for record in index.train}
        self.chosen = chosen_images(self.masked, IMAGES)

    def truth(self, image: LabelledImage) -> np.ndarray:
        return read_truth(self.data, self.records[image.name])

    def masks(self, trained: TrainedModel, settings: InferenceSettings, device: torch.device) -> NovelMasks:
        found = NovelMasks(self.masked.classes, self.masked.novel)
        for image in self.chosen:
            pixels = network_input(ImageFile.of(self.data, image), settings, device)
            probability, masks = proposals(trained.model, pixels, (image.height, image.width))
            found.add(probability[0], masks[0], self.truth(image))
        return found

    def crops(self, augment: AugmentSettings, seed: int) -> dict[str, float]:
        images = self.masked.images
        groups = TrainingGroups(self.data, self.masked, augment, 1, None, seed)
        numbers = {image.name: number for number, image in enumerate(images)}
        chosen = {numbers[image.name] for image in self.chosen}
        return lost_labels(groups, chosen, lambda number: self.truth(images[number]))


def write_diagnostics(spec: dict[str, Any], device: torch.device, csv: Path) -> None:
    """Write the runs as `csv`, and beside it as Markdown, a table per dataset and split, and as a picture, `.png`.

    Args:
        spec: see `diagnostics`; also `title` and `rows` (list of {method, label}).
        device: of the networks.
        csv: path of the csv.
    """
    table = diagnostics(spec, device)
    labels = {row["method"]: row["label"] for row in spec["rows"]}
    parts = [strong(f"{spec['title']}: what happens on novel pixels"), NOTE]
    for (dataset, split), runs in table.groupby(["dataset", "split"], sort=False):
        first = runs.iloc[0]  # images and clutter are those of the place
        lost, empty = _span(runs["lost"]), _span(runs["lost_empty"])
        warning = " (!)" if runs["lost"].max() > LOST else ""
        parts += [
            f"{line(f'{dataset} {split}')}: {first['images']} images. Crops lose {lost}{warning} % of the novel "
            f"labels; {empty} % are lost in crops that hold only base pixels. Clutter covers "
            f"{number(first['clutter'], '.1f')} % of the not-base region.",
            markdown(pd.DataFrame(list(_rows(runs))).set_axis([labels[name] for name in runs["method"]]), "method"),
        ]
    write_page(csv, table, parts)
    with figure_style():
        write_png(diagnostics_figure(table, labels), csv.with_suffix(".png"), DPI)


def _rows(runs: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield the cells of each run."""
    for run in runs.to_dict("records"):
        taken = f"{run['taker']} {number(run['taken'], '.0f')} %, from {run['loser']}" if run["taker"] else NONE
        yield {
            "seed": str(run["seed"]),
            "own pixels": _cell(run["own"], ".2f", run["own"] < OWN),
            "other novel pixels": _cell(run["others"], ".2f", run["others"] > OVERLAP),
            "under two masks, %": _cell(run["covered"], ".1f", run["covered"] > 100 * OVERLAP),
            "right among own, %": number(run["right_among_own"], ".1f"),
            "right, %": number(run["right"], ".1f"),
            "takes most": taken,
            "one query, %": number(run["one_query"], ".1f"),
        }


def _span(values: pd.Series[float]) -> str:
    """Return the lowest and the highest value, once if they are the same."""
    return " to ".join(dict.fromkeys(number(value, ".1f") for value in (values.min(), values.max())))


def _cell(value: float, form: str, warning: bool) -> str:
    return f"{number(value, form)} (!)" if warning else number(value, form)
