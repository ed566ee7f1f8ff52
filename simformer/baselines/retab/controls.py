"""Label sets for negative controls of RETAB: base masks of other images, and fewer base classes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from simformer.data.checked import label_checksum, read_label_map
from simformer.data.images import write_label
from simformer.data.labels import LabelledImage, LabelSet
from simformer.data.masking import hide_novel
from simformer.data.transforms import resize_label
from simformer.errors import UserError

SHUFFLED = "shuffled"
THINNED = ("base50", "base25")
"""Controls with so many percent of the base classes; the others' masks are hidden."""
CONTROLS = (SHUFFLED, *THINNED)


def partners(images: tuple[LabelledImage, ...], seed: int) -> dict[str, LabelledImage]:
    """Give every image another one of the same size, at random; one of a size of its own gets one of a near size.

    Every image is the partner of one other.

    Raises: UserError if there are fewer than two images.
    """
    found: dict[str, LabelledImage] = {}
    for alike in _groups(images):
        order = [alike[i] for i in np.random.default_rng([seed, 11]).permutation(len(alike))]
        found |= {mine.name: other for mine, other in zip(order, order[1:] + order[:1], strict=True)}
    return found


def _groups(images: tuple[LabelledImage, ...]) -> list[list[LabelledImage]]:
    """Sort images into groups of two or more, of one size each; those of a size of their own go to a near one."""
    if len(images) < 2:
        raise UserError(f"a control needs two training images or more, found {len(images)}; add images to the dataset")
    by_size: dict[tuple[int, int], list[LabelledImage]] = defaultdict(list)
    for image in images:
        by_size[image.height, image.width].append(image)
    alone = [by_size[size][0] for size in sorted(by_size) if len(by_size[size]) == 1]
    groups = [group for group in by_size.values() if len(group) > 1]
    groups += [alone[i : i + 2] for i in range(0, len(alone) - 1, 2)]
    if len(alone) % 2:
        last = alone[-1]
        min(groups, key=lambda g: abs(g[0].height - last.height) + abs(g[0].width - last.width)).append(last)
    return groups


def kept_base(labels: LabelSet, percent: int, seed: int) -> set[int]:
    """Draw the base classes that keep their masks; a smaller share is part of a larger one of the same seed."""
    base = [c for c in range(len(labels.classes)) if c not in set(labels.novel)]
    order = np.random.default_rng([seed, 12]).permutation(len(base))
    return {base[i] for i in order[: max(1, round(len(base) * percent / 100))]}


def control_labels(labels: LabelSet, control: str, seed: int, destination: Path) -> LabelSet:
    """Write the masked label set of a control.

    Args:
        labels: the masked label set.
        control: 'shuffled' (each image has the base masks of another one, resized to its size) or 'base50', 'base25'
            (percent of the base classes that keep their masks).
        seed: of the draw.
        destination: folder of the new label set; image-level labels and novel classes stay the same.
    Raises: UserError for another name, or a label set that is no masked one or has a single image to shuffle.
    """
    if control not in CONTROLS:
        raise UserError(f"no control '{control}'; there are {', '.join(CONTROLS)}")
    labels.require("weak")
    others = partners(labels.images, seed) if control == SHUFFLED else {}
    hidden: tuple[int, ...] = ()
    if control != SHUFFLED:
        kept = kept_base(labels, int(control.removeprefix("base")), seed)
        hidden = tuple(sorted(set(range(len(labels.classes))) - kept))
    images = []
    for image in labels.images:
        source = others[image.name] if control == SHUFFLED else image
        label_map = hide_novel(resize_label(read_label_map(labels, source), image.height, image.width), hidden)
        write_label(destination / image.label, label_map)
        images.append(replace(image, label_sha256=label_checksum(label_map)))
    written = replace(labels, images=tuple(images), root=destination, kind="control")
    written.save()
    return written
