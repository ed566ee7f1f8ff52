"""COCO JSON of any tool: polygons and run lengths, or tags alone (annotations without shapes).

{"images": [{"id", "file_name", "height", "width"}], "annotations": [{"image_id", "category_id", "segmentation"}],
 "categories": [{"id", "name"}]}

Ids may have gaps. Larger shapes are drawn first. A folder or archive may hold several files, also in folders named
after their subsets. COCO-Stuff itself has an importer of its own (`simformer.data.coco_json`). Source:
cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simformer.data.archive import Tree
from simformer.data.class_names import normal
from simformer.data.coco_shapes import LONGEST_SIDE, MOST_PIXELS, BrokenShape, RunLengths, compact, encode, shown
from simformer.data.coco_shapes import Shape as Segmentation
from simformer.data.formats.annotations import Annotations, Blank, Options, Shape, Shapes, subset_of, subset_of_folder
from simformer.data.formats.text_files import read_json
from simformer.errors import UserError

FORM = "COCO's form: an object with the lists `images`, `annotations` and `categories`"
OTHER_KINDS = ("captions_", "person_keypoints_", "image_info_", "panoptic_")
"""How files of COCO begin that repeat others, or hold no classes."""


@dataclass(frozen=True)
class Outline:
    """Polygons or run lengths."""

    segmentation: Segmentation

    def encode(self, height: int, width: int) -> RunLengths:
        """See `Region`."""
        return encode(self.segmentation, height, width)


@dataclass(frozen=True)
class _Image:
    """An image of one file: its reference, what messages call it, and its size, where that is given."""

    reference: str
    where: str
    size: tuple[Any, Any]


def masks(tree: Tree, options: Options) -> Annotations:
    """Read shapes; UserError if a file cannot be read."""
    found = Annotations(str(tree.path))
    shapes: dict[str, list[Shape]] = {}
    first: dict[str, _Image] = {}
    for file, content in _files(tree):
        images, classes = _tables(found, file, content)
        for image in images.values():
            found.masks.setdefault(image.reference, Blank(image.where))
        for what, image, name, item in _annotations(found, file, content, images, classes):
            segmentation = item.get("segmentation")
            if segmentation in (None, []):
                found.problems.append(f"{what}: no `segmentation`; correct it, or read this file as tags: --tags coco")
                continue
            try:
                region = Outline(compact(segmentation))
            except BrokenShape as error:
                found.problems.append(f"{what}: {error}; correct it, or export the file again")
                continue
            first.setdefault(image.reference, image)
            shapes.setdefault(image.reference, []).append(Shape(f"annotation {shown(item.get('id'))}", name, region))
    for reference, image in first.items():
        height, width = image.size
        sides = all(type(side) is int and 0 < side <= LONGEST_SIDE for side in image.size)
        if not sides or height * width > MOST_PIXELS:
            found.problems.append(
                f"{image.where}: its height and width are {shown(height)} and {shown(width)}; expected pixels"
            )
            continue
        found.masks[reference] = Shapes(image.where, height, width, tuple(shapes[reference]), largest_first=True)
    return found


def tags(tree: Tree, options: Options) -> Annotations:
    """Read which categories an image has; UserError if a file cannot be read."""
    found = Annotations(str(tree.path))
    for file, content in _files(tree):
        images, classes = _tables(found, file, content)
        for image in images.values():
            found.tags.setdefault(image.reference, {})
        for _, image, name, _ in _annotations(found, file, content, images, classes):
            found.tags[image.reference][name] = True
    return found


def _files(tree: Tree) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Yield the name and the content of every COCO file."""
    names = [name for name in tree.names() if name.lower().endswith(".json")]
    names = [name for name in names if not name.rpartition("/")[2].startswith((".", *OTHER_KINDS))]
    if not names and tree.path.is_file():
        names = tree.names()
    if not names:
        raise UserError(f"{tree.path}: no JSON files; expected {FORM}")
    for name in names:
        content = read_json(tree, name, FORM)
        sections = ("images", "annotations", "categories")
        lists = [isinstance(content, dict) and isinstance(content.get(section), list) for section in sections]
        if not all(lists):
            missing = [section for section, there in zip(sections, lists, strict=True) if not there]
            raise UserError(f"{tree.where(name)}: no list `{'`, `'.join(missing)}`; expected {FORM}")
        yield tree.where(name), content


def _tables(found: Annotations, file: str, content: dict[str, list[Any]]) -> tuple[dict[Any, _Image], dict[Any, str]]:
    """Return images and names of categories by id; what is broken becomes a problem."""
    images: dict[Any, _Image] = {}
    for number, item in enumerate(content["images"]):
        key, reference = (item.get("id"), item.get("file_name")) if isinstance(item, dict) else (None, None)
        if type(key) not in (int, str) or not isinstance(reference, str) or not reference.strip():
            found.problems.append(f"{file}: image {number} of the list is {shown(item)}; expected `id` and `file_name`")
            continue
        if key in images:
            found.problems.append(f"{file}: two images with the id {shown(key)}; give each its own")
        size = item.get("height"), item.get("width")
        images[key] = _Image(reference, f"{file}: image {shown(key)} ({reference})", size)
        subset = subset_of_folder(reference) or subset_of("/".join(file.rsplit("/", 2)[-2:]))
        if subset:
            found.subsets[reference] = subset
    classes: dict[Any, str] = {}
    for number, item in enumerate(content["categories"]):
        key, name = (item.get("id"), item.get("name")) if isinstance(item, dict) else (None, None)
        if type(key) not in (int, str) or not isinstance(name, str) or not name.strip():
            found.problems.append(f"{file}: category {number} of the list is {shown(item)}; expected `id` and `name`")
            continue
        if key in classes:
            found.problems.append(f"{file}: two categories with the id {shown(key)}; give each its own")
        classes[key] = name.strip()
    for name, count in Counter(map(normal, classes.values())).items():
        if count > 1:
            ids = " and ".join(shown(key) for key, other in classes.items() if normal(other) == name)
            found.notes.append(f"{file}: the categories {ids} have one name, '{name}'; they are read as one class")
    found.classes += [name for name in dict.fromkeys(classes.values()) if name not in found.classes]
    return images, classes


def _annotations(
    found: Annotations, file: str, content: dict[str, list[Any]], images: dict[Any, _Image], classes: dict[Any, str]
) -> Iterator[tuple[str, _Image, str, dict[str, Any]]]:
    """Yield every annotation: what messages call it, its image, its class, and all of it."""
    for number, item in enumerate(content["annotations"]):
        if not isinstance(item, dict):
            found.problems.append(f"{file}: annotation {number} of the list is {shown(item)}; expected an object")
            continue
        what = f"{file}: annotation {shown(item.get('id', f'number {number}'))}"
        for key, known, section in (("image_id", images, "images"), ("category_id", classes, "categories")):
            if type(item.get(key)) not in (int, str) or item[key] not in known:
                found.problems.append(f"{what}: {key} is {shown(item.get(key))}, which `{section}` does not have")
                break
        else:
            yield what, images[item["image_id"]], classes[item["category_id"]], item
