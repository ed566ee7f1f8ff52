"""ADE20K as published for the SceneParse150 benchmark (ADEChallengeData2016.zip).

images/{training,validation}/<name>.jpg, annotations/{training,validation}/<name>.png below one top folder

The PNGs have one 8-bit channel: 0 = other or unlabelled, 1..150 the classes in the order of objectInfo150.txt. Source:
sceneparsing.csail.mit.edu, whose counts are 20210 and 2000 images.
"""

from __future__ import annotations

from simformer.data import class_tables
from simformer.data.archive import Tree, files_in
from simformer.data.class_tables import IdTable
from simformer.data.convert import Conversion, Member, pair
from simformer.errors import UserError

SUBSETS = ("training", "validation")
IDS = IdTable.make({1 + k: k for k in range(150)}, {0}, "1..150, or 0 for unlabelled")


def ade20k(tree: Tree) -> Conversion:
    """Find the photographs and label maps of SceneParse150; its validation images are the test images.

    Raises:
        UserError: the tree has another layout.
    """
    folders = {
        f"{kind}/{subset}/": {
            name: Member(0, file) for name, file in files_in(tree, f"{kind}/{subset}", suffix).items()
        }
        for kind, suffix in (("images", ".jpg"), ("annotations", ".png"))
        for subset in SUBSETS
    }
    missing = [folder for folder, files in folders.items() if not files]
    if missing:
        raise UserError(f"{tree.path}: missing files of {', '.join(missing)}; SceneParse150 has {', '.join(folders)}")
    train_images, test_images, train_labels, test_labels = folders.values()
    pairs = pair(
        (train_images | train_labels, test_images | test_labels),
        train_images | test_images,
        train_labels | test_labels,
        (f"{{}}.jpg in images/ of {tree.path}", f"{{}}.png in annotations/ of {tree.path}"),
    )
    return Conversion("ade20k", (tree,), IDS.decode, class_tables.ade20k().names, *pairs)
