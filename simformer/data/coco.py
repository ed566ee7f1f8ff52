"""What the importers of COCO-Stuff share: image ids and names, and where photographs are found."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from simformer.data.archive import Tree, files_in
from simformer.data.class_tables import IdTable, coco_stuff
from simformer.data.convert import Member
from simformer.errors import UserError

LARGEST_RAW_ID = 182
UNLABELLED = 255
"""Value of a pixel without a label in the PNGs of the 164k release."""

STEM = re.compile(r"(?:COCO_(?:train|val)2014_)?(\d{12})")
"""Names of COCO's files, up to 2014 and since 2017; the number is the image id, unique over all of them."""

Subset = Literal["10k", "164k"]
IMAGE_NAMES: Mapping[Subset, Callable[[int], str]] = {"10k": "COCO_train2014_{:012d}".format, "164k": "{:012d}".format}
"""What the images of each subset are called here: as in COCO-Stuff-10K (so that splits fit), and as in COCO 2017."""

FOLDERS_2017 = ("train2017", "val2017")
"""The training and test images of the 164k subset."""


def raw_id_table(shift: int, ignored: int, expected: str) -> IdTable:
    """Return the class ids of values that are raw ids minus a shift.

    A raw id of 1..182 without a class, of which there should be none in the data, is ignored, as in the reference.

    Args:
        shift: 0 or 1.
        ignored: value of unlabelled pixels.
        expected: the values that are allowed, for messages.
    """
    known = {raw_id - shift: k for k, raw_id in enumerate(coco_stuff().raw_ids)}
    return IdTable.make(known, {raw_id - shift for raw_id in range(1, LARGEST_RAW_ID + 1)} | {ignored}, expected)


def ids_in(tree: Tree, folder: str, suffix: str) -> dict[int, str]:
    """Index COCO's files by image id, in folders of a name or in any (`simformer.data.archive.files_in`)."""
    stems = ((STEM.fullmatch(stem), name) for stem, name in files_in(tree, folder, suffix).items())
    return {int(stem[1]): name for stem, name in stems if stem}


def files_by_id(trees: Sequence[Tree], first: int, suffix: str) -> dict[int, Member]:
    """Index COCO's files in any folder of several trees by image id; earlier trees win.

    Args:
        trees: where to look.
        first: number of the first of them in the conversion.
        suffix: `.jpg` or `.png`.

    Raises:
        UserError: there is none, or a tree has two files of one name.
    """
    found: dict[int, Member] = {}
    for number, tree in enumerate(trees, first):
        for image_id, name in ids_in(tree, "", suffix).items():
            found.setdefault(image_id, Member(number, name))
    if not found:
        raise UserError(f"{describe(trees)}: no {suffix} files named like COCO's; expected e.g. 000000000009{suffix}")
    return found


def describe(trees: Sequence[Tree]) -> str:
    """Return the paths of trees, for messages."""
    return ", ".join(str(tree.path) for tree in trees)


def expected_photograph(trees: Sequence[Tree]) -> str:
    """Return where a photograph may be, for messages (`simformer.data.convert.pair`)."""
    return f"{{}}.jpg, or its 12 digits alone, in {describe(trees)}"
