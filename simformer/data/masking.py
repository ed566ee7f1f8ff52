"""The weak-shot wall: the only place where true label maps become what a training may see (Sec. 3.1).

Novel pixels are written to disk as IGNORE. Novel classes remain only as image-level labels. Weak training stages read
the written label set and nothing else.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from simformer.config.settings import IGNORE
from simformer.data.checked import label_checksum
from simformer.data.identity import require_groups
from simformer.data.images import write_label
from simformer.data.index import DatasetIndex
from simformer.data.labels import Kind, LabelledImage, LabelSet
from simformer.data.splits import Split
from simformer.data.truth import read_truth


def hide_novel(label_map: np.ndarray, novel: tuple[int, ...]) -> np.ndarray:
    """Return the uint8 label map [H, W] with every novel pixel replaced by IGNORE."""
    table = np.arange(256, dtype=np.uint8)
    table[list(novel)] = IGNORE
    masked: np.ndarray = table[label_map]
    return masked


def mask_labels(data: Path, index: DatasetIndex, split: Split, destination: Path) -> LabelSet:
    """Write the training images' label maps with hidden novel pixels, and their image-level labels.

    A class without masks has no pixels to hide: its image-level labels are those that were stated (tags.py).

    Args:
        data: folder of the prepared dataset.
        index: its audited index.
        split: base and novel classes; with no novel class the labels are the full ones.
        destination: folder of the new label set.
    Returns: the label set, as written to `destination/labels.json`.
    Raises: UserError if the split is of other classes, or a label map has changed since the audit.
        Or a base class has no masks, no training image shows one of the novel classes, or none shows a base class.
    """
    require_groups(index.identity, split)
    split.refuse_maskless(index.tags_only)
    split.refuse_unseen(record.labels for record in index.train)
    images = []
    for record in index.train:
        label = f"labels/{record.name}.png"
        masked = hide_novel(read_truth(data, record), split.novel)
        write_label(destination / label, masked)
        images.append(
            LabelledImage(
                name=record.name,
                image=record.image,
                label=label,
                height=record.height,
                width=record.width,
                classes=tuple(record.labels),
                image_sha256=record.image_sha256,
                label_sha256=label_checksum(masked),
                unknown=record.unknown,
            )
        )
    kind: Kind = "weak" if split.novel else "full"
    label_set = LabelSet(index.classes, split.novel, tuple(images), destination, kind, index.hash, split.novel)
    label_set.save()
    return label_set


def image_labels(index: DatasetIndex, destination: Path) -> LabelSet:
    """Write a label set that holds only image-level labels: every class is novel, and there is no label map.

    A network that learns from it has seen no mask, so every split can use it.

    Args:
        index: the dataset's audited index.
        destination: folder of the new `labels.json`.
    """
    images = tuple(
        LabelledImage(r.name, r.image, "", r.height, r.width, tuple(r.labels), r.image_sha256, "", r.unknown)
        for r in index.train
    )
    every = tuple(range(len(index.classes)))
    label_set = LabelSet(index.classes, every, images, destination, "images", index.hash, every)
    label_set.save()
    return label_set


def crop_labels(full: LabelSet, split: Split, destination: Path) -> LabelSet:
    """Write a label set whose novel labels are those of each training crop, as in the released code.

    It refers to the full label maps, from which the loader reads which novel classes a crop holds before it
    hides them: more than the image-level labels of the weak-shot task (docs/discrepancies.md).

    Args:
        full: the label set with all masks.
        split: base and novel classes.
        destination: folder of the new `labels.json`.
    Raises: UserError if the label set lacks masks, or the split is of other classes.
        Or no training image shows one of the novel classes, or none shows a base class.
    """
    full.require("full")
    require_groups(full.identity, split)
    split.refuse_unseen(image.classes for image in full.images)
    way = os.path.relpath(full.root, destination)
    images = tuple(replace(image, label=f"{way}/{image.label}") for image in full.images)
    label_set = replace(
        full, novel=split.novel, images=images, root=destination, kind="crop", hidden=split.novel, crop_scope=True
    )
    label_set.save()
    return label_set
