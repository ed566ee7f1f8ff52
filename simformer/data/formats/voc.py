"""PASCAL VOC: label maps with a palette, and tags by class.

SegmentationClass/<image>.png             palette index or colour = class, 0 = background, 255 = outlines
ImageSets/Segmentation/<set>.txt          one image per line
ImageSets/Main/<class>_<set>.txt          `<image> 1`: shown, `-1`: not shown, `0`: difficult to see, which is unknown
labelmap.txt                              `<class>:<r>,<g>,<b>:...`, in exports of CVAT: the classes and their colours

Source: the VOC2012 development kit (host.robots.ox.ac.uk/pascal/VOC/voc2012), section 4.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from simformer.data.archive import FolderTree, Tree
from simformer.data.coco_shapes import shown
from simformer.data.convert import Member
from simformer.data.formats.annotations import Annotations, Options, State, Subset
from simformer.data.formats.id_pictures import IdPicture
from simformer.data.formats.names import ColourPicture, read_colours
from simformer.data.formats.text_files import read_text
from simformer.data.layout import LINE_END
from simformer.errors import UserError

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""Of the challenge, in id order."""
OUTLINE = 224 << 16 | 224 << 8 | 192
"""Colour of id 255."""
OTHER_IDS = "if they are of other classes: --masks ids PATH --names FILE"
MAIN = re.compile(r"(.+)_(train|val|trainval|test|default)")
STATES: Mapping[str, State] = {"1": True, "+1": True, "-1": False, "0": None}
SUBSETS: Mapping[str, Subset] = {"train": "train", "val": "val", "test": "test"}


def masks(tree: Tree, options: Options) -> Annotations:
    """Read the label maps; those that a list names, if there are lists.

    Raises:
        UserError: there are none, or a list or the label map of colours cannot be read.
    """
    found = Annotations(str(tree.path))
    pictures: dict[str, list[str]] = defaultdict(list)
    for stem, name in _in_folder(tree, "SegmentationClass", ".png"):
        pictures[stem].append(name)
    if not pictures:
        raise UserError(f"{tree.path}: no SegmentationClass/*.png; expected the folder above it, e.g. VOC2012")
    label_map = next((name for name in tree.names() if name.rpartition("/")[2] == "labelmap.txt"), None)
    names: dict[int, str | None] = dict(enumerate(CLASSES))
    if label_map is not None:
        if not isinstance(tree, FolderTree):
            raise UserError(f"{tree.where(label_map)}: colours in an archive; unpack it first and give the folder")
        names = {OUTLINE: None, **read_colours(tree.root / label_map)}
    if options.reduce_zero_label:
        names |= {0: None}
    found.classes = list(dict.fromkeys(name for name in names.values() if name))
    listed: dict[str, Subset | None] = {}
    for stem, name in _in_folder(tree, "ImageSets/Segmentation", ".txt"):
        for line in LINE_END.split(read_text(tree, name)):
            if line.strip():
                image = line.split()[0].rpartition("/")[2]
                listed[image] = SUBSETS.get(stem) or listed.get(image)
    for image in listed or pictures:
        if image not in pictures:
            found.problems.append(f"{tree.path}: no SegmentationClass/{image}.png, which a list names; add the file")
            continue
        for name in pictures[image]:
            where, member = tree.where(name), Member(0, name)
            found.draw(
                image,
                IdPicture(where, member, names, "PASCAL VOC", OTHER_IDS)
                if label_map is None
                else ColourPicture(where, member, names),
            )
        if subset := listed.get(image):
            found.subsets[image] = subset
    return found


def tags(tree: Tree, options: Options) -> Annotations:
    """Read the lists of the classes; UserError if there are none."""
    found = Annotations(str(tree.path))
    for stem, name in _in_folder(tree, "ImageSets/Main", ".txt"):
        match = MAIN.fullmatch(stem)
        if not match:
            continue  # train.txt and the like, without classes
        if match[1] not in found.classes:
            found.classes.append(match[1])
        for number, line in enumerate(LINE_END.split(read_text(tree, name)), 1):
            image, *flags = line.split() or [""]
            if image and (len(flags) != 1 or flags[0] not in STATES):
                found.problems.append(
                    f"{tree.where(name)}: line {number} is {shown(line.strip())}; expected an image and 1 (shown), -1 "
                    "(not shown) or 0 (difficult)"
                )
            elif image:
                found.tag(image, match[1], STATES[flags[0]])
                if subset := SUBSETS.get(match[2]):
                    found.subsets[image] = subset
    if not found.classes:
        raise UserError(f"{tree.path}: no ImageSets/Main/<class>_<set>.txt; expected the folder above, e.g. VOC2012")
    return found


def _in_folder(tree: Tree, folder: str, ending: str) -> Iterator[tuple[str, str]]:
    """Yield stem and name of the files of a folder, wherever that lies."""
    for name in tree.names():
        above, _, file = f"/{name}".rpartition("/")
        stem, suffix = os.path.splitext(file)
        if above.endswith(f"/{folder}") and suffix.lower() == ending and not stem.startswith("."):
            yield stem, name
