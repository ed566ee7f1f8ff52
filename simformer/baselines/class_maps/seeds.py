"""Seeds: the confident pixels of class maps, as a label set on which an affinity network is trained.

There is no background class here: where no present class is confident a pixel is IGNORE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.crf import dense_crf
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.class_maps.pamr import pamr
from simformer.baselines.settings import SeedSettings
from simformer.config.settings import IGNORE
from simformer.data.checked import read_photograph
from simformer.data.derived_labels import derive_labels, lowest_score
from simformer.data.labels import LabelSet
from simformer.data.transforms import resize_image, resize_label


def confident(scores: Tensor, classes: tuple[int, ...], threshold: float) -> Tensor:
    """Label every pixel with the class of the highest score, if that reaches a threshold.

    Args:
        scores: [P, H, W].
        classes: class id of each row.
        threshold: lowest score of a seed.
    Returns: class id or IGNORE, uint8 [H, W]; of equal scores the first row wins.
    """
    if not classes:
        return torch.full(scores.shape[-2:], IGNORE, dtype=torch.uint8)
    best, winner = scores.max(dim=0)
    return torch.tensor(classes, dtype=torch.uint8)[winner].masked_fill(best < threshold, IGNORE)


def image_seeds(maps: ClassMaps, image: np.ndarray, settings: SeedSettings) -> np.ndarray:
    """Seeds of one image at its full size.

    Args:
        maps: scores of the image's classes.
        image: RGB, uint8 [H, W, 3].
        settings: threshold and cleaning, which works at half size.
    Returns: class id or IGNORE, uint8 [H, W].
    """
    height, width = image.shape[:2]
    if settings.clean == "none" or not maps.classes:
        return confident(maps.at_size(height, width), maps.classes, settings.threshold).numpy()
    half = (height + 1) // 2, (width + 1) // 2
    small, scores = resize_image(image, *half, Image.Resampling.BILINEAR), maps.at_size(*half)
    if settings.clean == "pamr":
        scores = pamr(torch.from_numpy(small.transpose(2, 0, 1).copy()).float() / 255, scores, settings.iterations)
        return resize_label(confident(scores, maps.classes, settings.threshold).numpy(), height, width)
    labels = confident(scores, maps.classes, settings.threshold).numpy()
    ids = np.append(np.array(maps.classes, np.uint8), np.uint8(IGNORE))
    compact = np.searchsorted(ids, labels)
    return resize_label(ids[dense_crf(small, compact, len(ids), settings.iterations)], height, width)


def write_seeds(maps: MapSet, data: Path, labels: LabelSet, settings: SeedSettings, destination: Path) -> LabelSet:
    """Write the seeds of all images as a label set; images without any are left out of it.

    Args:
        maps: of all images.
        data: folder of the prepared dataset (images only are read from it).
        labels: the images and their image-level labels.
        settings: threshold (see `lowest_score`) and cleaning.
        destination: folder of the new label set.
    Raises: UserError if the maps are not of the dataset and split of the labels.
    """
    maps.require_blind(labels)
    named = replace(labels, images=tuple(replace(i, label=f"labels/{i.name}.png") for i in labels.images))

    def seeds() -> Iterator[tuple[int, np.ndarray]]:
        for position, image in enumerate(labels.images):
            sure = settings.model_copy(update={"threshold": lowest_score(settings.threshold, image.unknown)})
            yield position, image_seeds(maps.read(image.name), read_photograph(data, image), sure)

    return derive_labels(named, destination, "seeds", seeds())
