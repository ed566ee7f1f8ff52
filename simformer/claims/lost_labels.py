"""Image-level labels that training crops lose: L_cls demands classes that have no pixel in the crop."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from simformer.claims.novel_masks import percent
from simformer.config.settings import IGNORE
from simformer.data.loader import TrainingGroups

EPOCHS = 4
"""Epochs whose crops are drawn."""


def lost_labels(
    groups: TrainingGroups, images: Collection[int], truth: Callable[[int], np.ndarray], epochs: int = EPOCHS
) -> dict[str, float]:
    """Draw crops as training does, and count the image-level novel labels of which they hold no pixel.

    Args:
        groups: single images of a split's masked label set. With a run's seed they are cropped as the first images of
            its pairs are.
        images: indices of the images that are looked at.
        truth: returns the true class ids of one of them, uint8 [H, W].
        epochs: every image is cropped once in each.
    Returns: percent, NaN where there is nothing to count:
        `lost`: image-level novel labels whose class has no pixel in the crop.
        `lost_empty`: image-level novel labels whose crop holds base pixels alone, which base masks prove.
        `clutter`: pixels of the not-base region, in whole images, that no class owns.
    """
    novel = set(groups.labels.novel)
    labels = lost = empty = unowned = owned = 0
    for number in range(epochs * len(groups.labels.images)):
        (image,) = groups.image_ids(number)
        if image in images:
            crop = groups.crop(image, number, 0, truth(image))
            seen = set(crop.label_map[~crop.padding].unique().tolist())
            wanted = set(groups.labels.novel_labels(groups.labels.images[image]))
            labels += len(wanted)
            lost += len(wanted - seen)
            empty += 0 if seen & (novel | {IGNORE}) else len(wanted)
    for image in images:
        unowned += int((truth(image) == IGNORE).sum())
        owned += int(np.isin(truth(image), list(novel)).sum())
    return {
        "lost": percent(lost, labels),
        "lost_empty": percent(empty, labels),
        "clutter": percent(unowned, unowned + owned),
    }
