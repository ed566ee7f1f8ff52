"""A dataset in which some classes have no masks, made from one that has them all: tags instead of their pixels."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from simformer.data.images import read_label, write_label
from simformer.data.layout import read_classes, read_names


def delete_masks(
    source: Path,
    destination: Path,
    only: Iterable[str],
    cell: Callable[[str, str, bool], str] = lambda image, name, shown: "01"[shown],
    subsets: Iterable[str] = ("train.txt",),
) -> Path:
    """Copy a dataset, write 255 on the pixels of some classes, and say in tags.csv which training images show them.

    Args:
        source: the dataset, with all masks.
        destination: the folder of the new one.
        only: names of the classes that lose their masks.
        cell: (image, class, whether the image shows it) -> cell of the table.
        subsets: lists of the images that lose masks.
    """
    shutil.copytree(source, destination, ignore=shutil.ignore_patterns("index.json", "audit.json"))
    classes, only = read_classes(source), list(only)
    ids = [classes.index(name) for name in only]
    lines = [",".join(["image", *only])]
    for subset in subsets:
        for image in read_names(source / subset):
            label_map = read_label(source / "labels" / f"{image}.png")
            if subset == "train.txt":
                cells = (cell(image, name, bool((label_map == k).any())) for k, name in zip(ids, only, strict=True))
                lines.append(",".join([image, *cells]))
            write_label(
                destination / "labels" / f"{image}.png", np.where(np.isin(label_map, ids), 255, label_map).astype("u1")
            )
    (destination / "tags.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (destination / "classes.json").write_text(json.dumps({"names": list(classes), "tags_only": only}))
    return destination
