"""Reading COCO's annotation files: every entry is checked and made small as it is read.

instances_<set>.json   things: polygons, or run lengths (plain, with iscrowd) of raw ids 1..90
stuff_<set>.json       stuff: compressed run lengths of raw ids 92..182; 183 'other' stands for all things: no class

Broken entries are listed, so one reading finds all of them. Numbers inside shapes are checked when the shapes are drawn
(`simformer.data.coco_shapes`), by several processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from simformer.data.archive import Tree, reading
from simformer.data.class_tables import coco_stuff
from simformer.data.coco_shapes import LONGEST_SIDE, MOST_PIXELS, BrokenShape, Shape, compact, shown
from simformer.data.signatures import HEAD, describe_content
from simformer.errors import UserError

OTHER = 183
"""Raw id of the stuff annotation that covers all things."""

LAST_THING = 91
RAW_IDS = {
    "instances": {raw_id for raw_id in coco_stuff().raw_ids if raw_id <= LAST_THING},
    "stuff": {raw_id for raw_id in coco_stuff().raw_ids if raw_id > LAST_THING} | {OTHER},
}
"""Categories of each kind of file."""

EXPECTED_IDS = {"instances": "a thing, 1..90", "stuff": f"a stuff class, 92..182, or {OTHER} for other"}
LARGEST_IMAGE_ID = 10**12 - 1
"""What COCO's file names have place for."""

LARGEST_ID = 2**63 - 1
MEND = "correct it, or download the file again"


@dataclass(frozen=True, slots=True)
class Region:
    """One annotation: its id, its raw id of a category, and its shape."""

    id: int
    raw_id: int
    shape: Shape


@dataclass(frozen=True)
class AnnotationFile:
    """One `<kind>_<set>.json`."""

    tree: Tree
    name: str
    kind: str
    set: str

    @property
    def where(self) -> str:
        """What messages call it."""
        return self.tree.where(self.name)


@dataclass(frozen=True)
class Annotations:
    """What one file says of the wanted images.

    Attributes:
        sizes: height and width in pixels by image id.
        regions: image id and region, in the file's order.
        problems: a line for each entry that is broken.
    """

    sizes: dict[int, tuple[int, int]]
    regions: list[tuple[int, Region]]
    problems: list[str]


def read_annotations(file: AnnotationFile, wanted: Callable[[int], bool]) -> Annotations:
    """Read what a file says of the images whose id is wanted.

    Objects are made small as they are read: a polygon as Python numbers takes several times the space of its text.

    Raises:
        UserError: the file cannot be read or is none of COCO's annotation files; entries that are broken are listed in
            the result instead.
    """
    with reading(file.tree.path):
        data = file.tree.read(file.name)
    reader = _Reader(file.kind, wanted)
    try:
        content = json.loads(data, object_pairs_hook=reader.compact, parse_constant=reader.note)
        images, annotations = (_section(content, name) for name in ("images", "annotations"))
        if reader.constants:
            raise ValueError(f"{reader.constants[0]}, which is no number of JSON")
    except (ValueError, RecursionError) as error:
        reason = f"it is {kind}" if (kind := describe_content(data[:HEAD])) else f"{type(error).__name__}: {error}"
        raise UserError(f"{file.where}: not one of COCO's annotation files ({reason}); download it again") from error
    del data, content
    found = reader.collect(images, annotations)
    return Annotations(found.sizes, found.regions, [f"{file.where}: {line}; {MEND}" for line in found.problems])


def _section(content: Any, name: str) -> list[Any]:
    section = content.get(name) if isinstance(content, dict) else None
    if not isinstance(section, list):
        raise ValueError(f"no list `{name}`")
    return section


class _Image(NamedTuple):
    id: int
    size: tuple[int, int]


class _Annotation(NamedTuple):
    image_id: int
    region: Region


class _Broken(NamedTuple):
    """An entry that is refused: why, and the id of the image that it describes, where this is known."""

    problem: str
    image_id: int | None = None


_UNWANTED = object()
"""Stands for an entry of an image that is not wanted."""
Check = Callable[[dict[str, Any]], Any]


@dataclass
class _Reader:
    """The state of one reading.

    Attributes:
        kind: of the file.
        wanted: whether an image id is.
        constants: NaN and the like that have been read since the last whole entry.
    """

    kind: str
    wanted: Callable[[int], bool]
    constants: list[str] = field(default_factory=list)

    def note(self, constant: str) -> float:
        """Take note of NaN, Infinity or -Infinity, which Python's reader of JSON accepts."""
        self.constants.append(constant)
        return float(constant)

    def compact(self, pairs: list[tuple[str, Any]]) -> Any:
        """Return the object of these keys and values, if it is an image or an annotation in its small form."""
        item = dict(pairs)
        if len(item) != len(pairs):
            twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
            raise ValueError(f"key {shown(twice)} twice in one object{_ids(item)}")
        if "segmentation" in item:
            return self.annotation(item)
        if "file_name" in item:
            return self.image(item)
        if self.constants and "counts" not in item:  # run lengths are told with their annotation
            raise ValueError(f"{self.constants[0]}, which is no number of JSON{_ids(item)}")
        return item

    def annotation(self, item: dict[str, Any]) -> Any:
        """Return an annotation in its small form, what is wrong with it, or that it is not wanted."""
        image_id, own_id, raw_id = item.get("image_id"), item.get("id"), item.get("category_id")
        constants = self._taken()
        if type(image_id) is int and not self.wanted(image_id):
            return _UNWANTED
        try:
            if type(own_id) is not int or abs(own_id) > LARGEST_ID:
                raise BrokenShape(f"its id is {shown(own_id)}; expected a whole number")
            if type(image_id) is not int:
                raise BrokenShape(f"image_id is {shown(image_id)}; expected the id of an image, a whole number")
            if constants:
                raise BrokenShape(f"{constants[0]}, which is no number of JSON")
            if type(raw_id) is not int or raw_id not in RAW_IDS[self.kind]:
                raise BrokenShape(f"category {shown(raw_id)}; expected {EXPECTED_IDS[self.kind]}")
            crowd = item.get("iscrowd", 0)
            if type(crowd) is not int or crowd not in (0, 1):
                raise BrokenShape(f"iscrowd is {shown(crowd)}; expected 0 or 1")
            if "segmentation" not in item:
                raise BrokenShape("no `segmentation`")
            return _Annotation(image_id, Region(own_id, raw_id, compact(item["segmentation"])))
        except BrokenShape as error:
            return _Broken(f"annotation{_ids(item)}: {error}")

    def image(self, item: dict[str, Any]) -> Any:
        """Return an image in its small form, what is wrong with it, or that it is not wanted."""
        image_id: Any = item.get("id")
        size: tuple[Any, Any] = (item.get("height"), item.get("width"))
        constants = self._taken()
        if type(image_id) is not int or not 0 <= image_id <= LARGEST_IMAGE_ID:
            return _Broken(
                f"image{_ids(item)}: its id is {shown(image_id)}; expected a whole number of up to 12 digits"
            )
        if not self.wanted(image_id):
            return _UNWANTED
        if constants:
            return _Broken(f"image {image_id}: {constants[0]}, which is no number of JSON", image_id)
        for name, side in zip(("height", "width"), size, strict=True):
            if type(side) is not int or not 0 < side <= LONGEST_SIDE:
                found = f"image {image_id}: {name} is {shown(side)}; expected pixels, 1..{LONGEST_SIDE}"
                return _Broken(found, image_id)
        if size[0] * size[1] > MOST_PIXELS:
            return _Broken(f"image {image_id}: {size[0]} x {size[1]} pixels; at most {MOST_PIXELS:,} fit", image_id)
        return _Image(image_id, size)

    def collect(self, images: Sequence[Any], annotations: Sequence[Any]) -> Annotations:
        """Bring the entries of the two lists together; ids must differ, and every annotation have its image."""
        sizes: dict[int, tuple[int, int]] = {}
        problems: list[str] = []
        broken: set[int | None] = set()
        for entry in self._entries(images, "images", self.image, _Image):
            if isinstance(entry, _Broken):
                broken.add(entry.image_id)
                problems.append(entry.problem)
            elif entry.id in sizes:
                problems.append(f"image {entry.id} is listed twice")
            else:
                sizes[entry.id] = entry.size
        regions: list[tuple[int, Region]] = []
        homeless: dict[int, list[int]] = {}
        for entry in self._entries(annotations, "annotations", self.annotation, _Annotation):
            if isinstance(entry, _Broken):
                problems.append(entry.problem)
            elif entry.image_id in sizes:
                regions.append((entry.image_id, entry.region))
            elif not broken & {entry.image_id, None}:  # a broken image has its own line already
                homeless.setdefault(entry.image_id, []).append(entry.region.id)
        problems += [
            f"annotation {_some(ids)} of image {image_id}: `images` has no such image"
            for image_id, ids in homeless.items()
        ]
        return Annotations(sizes, regions, problems + _doubled(regions))

    def _entries(self, section: Sequence[Any], name: str, check: Check, kind: type) -> Iterator[Any]:
        """Yield the wanted entries of a list; what was not made small, for lack of a key, is checked now."""
        for number, entry in enumerate(section):
            checked = check(entry) if isinstance(entry, dict) else entry
            if isinstance(checked, kind | _Broken):
                yield checked
            elif checked is not _UNWANTED:
                yield _Broken(f"entry {number} of `{name}` is something else: {shown(checked)}")

    def _taken(self) -> list[str]:
        """Return the constants since the last whole entry, and forget them."""
        constants = self.constants
        if constants:
            self.constants = []
        return constants


def _doubled(regions: Sequence[tuple[int, Region]]) -> list[str]:
    """Return a line for every id that several annotations have."""
    ids, counts = np.unique(np.array([region.id for _, region in regions], np.int64), return_counts=True)
    twice = set(ids[counts > 1].tolist())
    images: dict[int, list[str]] = {}
    for image_id, region in regions if twice else ():
        if region.id in twice:
            images.setdefault(region.id, []).append(str(image_id))
    return [f"annotation id {i} twice, of images {' and '.join(of)}" for i, of in images.items()]


def _some(ids: Sequence[int]) -> str:
    """Return the first id, and how many others there are."""
    return f"{ids[0]}" + (f" (and {len(ids) - 1} others)" if len(ids) > 1 else "")


def _ids(item: dict[str, Any]) -> str:
    """Return which object it is, for messages: its id and that of its image, as far as it has them."""
    own = f" {shown(item['id'])}" if "id" in item else ""
    return f"{own} of image {shown(item['image_id'])}" if "image_id" in item else own
