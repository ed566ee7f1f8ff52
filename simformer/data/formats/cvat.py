"""CVAT for images 1.1: `annotations.xml`, alone, or in a folder or zip archive with its images.

<image name width height>          `subset` in exports of projects
  <tag label/>                     the class is present
  <polygon label points z_order/>  x,y;x,y;... in pixels
  <mask label rle left top width height z_order/>   run lengths along the rows of a box, the first outside the shape

Shapes are drawn by z_order, then as listed. Source: docs.cvat.ai/docs/manual/advanced/xml_format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

from simformer.data.archive import Tree
from simformer.data.coco_shapes import LONGEST_SIDE, MOST_PIXELS, BrokenShape, RunLengths, shown
from simformer.data.formats.annotations import SUBSET_WORDS, Annotations, Blank, Options, Shape, Shapes
from simformer.data.formats.coco import Outline
from simformer.data.formats.text_files import read_bytes
from simformer.errors import UserError

FORM = "an export 'CVAT for images 1.1', with annotations.xml"
MASKS = ("polygon", "mask")


@dataclass(frozen=True)
class BoxRuns:
    """Run lengths along the rows of a box: int64, and the box's place in the image."""

    runs: NDArray[np.int64]
    left: int
    top: int
    width: int
    height: int

    def encode(self, height: int, width: int) -> RunLengths:
        """See `Region`."""
        right, bottom = self.left + self.width, self.top + self.height
        if min(self.left, self.top, self.width - 1, self.height - 1) < 0 or right > width or bottom > height:
            raise BrokenShape(f"a box up to {right}, {bottom} in an image of height {height} and width {width}")
        if self.runs.sum() != self.width * self.height or self.runs.min() < 0:
            raise BrokenShape(f"run lengths of {self.runs.sum()} pixels in a box of {self.width * self.height}")
        inside = np.repeat(np.arange(len(self.runs)) % 2 == 1, self.runs)
        mask = np.zeros((height, width), np.uint8, order="F")
        mask[self.top : bottom, self.left : right] = inside.reshape(self.height, self.width)
        return run_lengths.encode(mask)


def masks(tree: Tree, options: Options) -> Annotations:
    """Read polygons and masks; UserError if the file has another form."""
    found = Annotations(str(tree.path))
    others: Counter[str] = Counter()
    used: set[str] = set()
    labels, tagged, files = _read(tree)
    for where, image in _images(files, found):
        shapes: list[tuple[int, Shape]] = []
        for number, item in enumerate(image, 1):
            if item.tag not in MASKS:
                others.update([item.tag])
                continue
            try:
                shape = Shape(f"{item.tag} {number}", item.attrib["label"], _region(item))
                shapes.append((int(item.get("z_order", "0")), shape))
                used.add(shape.name)
            except (KeyError, ValueError, BrokenShape) as error:
                reason = f"no `{error.args[0]}`" if isinstance(error, KeyError) else str(error)
                found.problems.append(f"{where}: {item.tag} {number}: {reason}; export the file again")
        height, width = image.get("height", ""), image.get("width", "")
        if not shapes:
            found.draw(image.attrib["name"], Blank(where))
            continue
        if not all(side.isdecimal() and 0 < int(side) <= LONGEST_SIDE for side in (height, width)) or (
            int(height) * int(width) > MOST_PIXELS
        ):
            found.problems.append(f"{where}: height {shown(height)} and width {shown(width)}; expected pixels")
            continue
        ordered = sorted(shapes, key=lambda item: item[0])
        found.draw(image.attrib["name"], Shapes(where, int(height), int(width), tuple(s for _, s in ordered)))
    found.classes = [name for name, kind in labels.items() if name in used or (kind != "tag" and name not in tagged)]
    found.classes += sorted(used - set(labels))
    found.notes += [f"not read, since they are no masks: '{kind}' ({count} shapes)" for kind, count in others.items()]
    return found


def tags(tree: Tree, options: Options) -> Annotations:
    """Read tags; UserError if the file has another form."""
    found = Annotations(str(tree.path))
    labels, tagged, files = _read(tree)
    found.classes = [name for name, kind in labels.items() if kind == "tag" or name in tagged]
    found.classes += sorted(tagged - set(labels))
    for where, image in _images(files, found):
        states = found.tags.setdefault(image.attrib["name"], {})
        for item in image.iter("tag"):
            if item.get("label"):
                states[item.attrib["label"]] = True
            else:
                found.problems.append(f"{where}: a tag without `label`; export the file again")
    return found


def _read(tree: Tree) -> tuple[dict[str, str], set[str], list[tuple[str, ElementTree.Element]]]:
    """Return the kinds of the labels by name, those that are tags of an image, and the files."""
    names = [name for name in tree.names() if name.lower().endswith(".xml")]
    if not names:
        raise UserError(f"{tree.path}: no XML file; expected {FORM}")
    labels: dict[str, str] = {}
    files = []
    for name in names:
        try:
            # Expat bounds what entities may grow to, and opens no other file.
            root = ElementTree.fromstring(read_bytes(tree, name))  # noqa: S314
        except ElementTree.ParseError as error:
            raise UserError(f"{tree.where(name)}: cannot be read as XML ({error}); expected {FORM}") from None
        if root.tag != "annotations" or root.find("track") is not None or root.find("image") is None:
            what = "an export for video" if root.find("track") is not None else f"<{root.tag}> without <image>"
            raise UserError(f"{tree.where(name)}: {what}; expected {FORM}")
        for label in root.iterfind("meta//labels/label"):
            labels.setdefault((label.findtext("name") or "").strip(), label.findtext("type") or "any")
        files.append((tree.where(name), root))
    tagged = {item.get("label", "") for _, root in files for item in root.iterfind("image/tag")} - {""}
    return labels, tagged, files


def _images(files: list[tuple[str, ElementTree.Element]], found: Annotations) -> Iterator[tuple[str, Any]]:
    """Yield what messages call an image, and its element; notes its subset."""
    for file, root in files:
        for image in root.iterfind("image"):
            name = image.get("name")
            if not name:
                found.problems.append(f"{file}: image {shown(image.get('id'))} has no name; export the file again")
                continue
            if subset := SUBSET_WORDS.get(image.get("subset", "").lower()):
                found.subsets[name] = subset
            yield f"{file}: image {name}", image


def _region(item: ElementTree.Element) -> Outline | BoxRuns:
    """Return the shape of an element; KeyError, ValueError or BrokenShape if it is broken."""
    if item.tag == "mask":
        runs = np.array([int(run) for run in item.attrib["rle"].split(",")], np.int64)
        return BoxRuns(runs, *(int(item.attrib[key]) for key in ("left", "top", "width", "height")))
    points = [point.split(",") for point in item.attrib["points"].split(";") if point.strip()]
    if any(len(point) != 2 for point in points):
        raise BrokenShape(f"points {shown(item.attrib['points'])}; expected x,y;x,y;...")
    return Outline((np.array([float(x) for point in points for x in point], np.float64),))
