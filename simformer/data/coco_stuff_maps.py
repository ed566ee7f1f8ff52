"""COCO-Stuff from the PNG label maps of its 164k release (stuffthingmaps_trainval2017.zip) and COCO's photographs.

train2017/<id>.png, val2017/<id>.png: one 8-bit channel, COCO's raw id minus 1 (0..181), 255 = unlabelled

Source: github.com/nightrome/cocostuff. COCO-Stuff-10K is a subset of its images; whether their labels are the same as
in the 10K releases is not stated.
"""

from __future__ import annotations

from collections.abc import Sequence

from simformer.data.archive import Tree
from simformer.data.class_tables import coco_stuff, coco_stuff_10k_images
from simformer.data.coco import (
    FOLDERS_2017,
    IMAGE_NAMES,
    UNLABELLED,
    Subset,
    describe,
    expected_photograph,
    files_by_id,
    ids_in,
    raw_id_table,
)
from simformer.data.convert import Conversion, pair
from simformer.errors import UserError

IDS = raw_id_table(1, UNLABELLED, f"0..181 (COCO's id minus 1), or {UNLABELLED} for unlabelled")


def coco_stuff_maps(labels: Tree, images: Sequence[Tree], subset: Subset) -> Conversion:
    """Find the label maps and photographs of a subset.

    Args:
        labels: the PNGs; for the 164k subset in folders train2017 and val2017.
        images: COCO's photographs in any folders, looked for in this order, named as since 2017 or as in 2014.
        subset: `10k`: the images of COCO-Stuff-10K by its lists; `164k`: what train2017 and val2017 hold.

    Raises:
        UserError: no such files at all.
    """
    photographs, maps = files_by_id(images, 1, ".jpg"), files_by_id([labels], 0, ".png")
    ids = tuple(coco_stuff_10k_images().values()) if subset == "10k" else _ids_2017(labels, images)
    name = IMAGE_NAMES[subset]
    pairs = pair(
        [map(name, found) for found in ids],
        {name(i): member for i, member in photographs.items()},
        {name(i): member for i, member in maps.items()},
        (expected_photograph(images), f"its 12 digits and .png in {labels.path}"),
    )
    return Conversion(f"coco_stuff_maps {subset}", (labels, *images), IDS.decode, coco_stuff().names, *pairs)


def _ids_2017(labels: Tree, images: Sequence[Tree]) -> tuple[set[int], set[int]]:
    """Return the ids of all label maps and photographs in folders train2017 and val2017."""
    train, test = (
        set(ids_in(labels, folder, ".png")).union(*(ids_in(tree, folder, ".jpg") for tree in images))
        for folder in FOLDERS_2017
    )
    if not train or not test:
        raise UserError(
            f"{describe([labels, *images])}: nothing in folders {' and '.join(FOLDERS_2017)}; expected both"
        )
    return train, test
