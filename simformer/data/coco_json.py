"""COCO-Stuff from COCO's annotation files: things and stuff, drawn into one label map per image.

instances_<set>.json   things: polygons, or run lengths (plain, with iscrowd) of raw ids 1..90
stuff_<set>.json       stuff: compressed run lengths of raw ids 92..182; 183 'other' stands for all things: no class

Stuff is drawn first, things on top of it; of each kind larger areas first, so that small ones stay visible. Pixels
that nothing covers are 255. COCO's label maps (`coco_stuff_maps`) may order overlapping things in another way.
Format: cocodataset.org/#format-data, read with pycocotools.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

from simformer.data.archive import Tree, files_in, reading
from simformer.data.class_tables import coco_stuff, coco_stuff_10k_images
from simformer.data.coco import FOLDERS_2017, IMAGE_NAMES, Subset, describe, expected_photograph, files_by_id
from simformer.data.convert import Conversion, pair
from simformer.errors import UserError
from simformer.settings import IGNORE

KINDS = ("stuff", "instances")
"""Kinds of annotation files in the order in which they are drawn."""

STEM = re.compile(rf"({'|'.join(KINDS)})_(\w+)")
OTHER = 183
"""Raw id of the stuff annotation that covers all things."""

CLASS_IDS = {raw_id: k for k, raw_id in enumerate(coco_stuff().raw_ids)}


Shape = tuple[NDArray[np.float64], ...] | Mapping[str, Any]
"""Polygons as arrays x, y, x, y, ...; or run lengths, {counts, size}."""


@dataclass(frozen=True, slots=True)
class Region:
    """One annotation: its raw id and its shape."""

    raw_id: int
    shape: Shape


@dataclass(frozen=True, slots=True)
class ImageRegions:
    """An image's size in pixels, and its annotations by kind in drawing order."""

    height: int
    width: int
    kinds: tuple[Sequence[Region], ...]


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


def coco_json(annotations: Sequence[Tree], images: Sequence[Tree], subset: Subset) -> Conversion:
    """Find the annotations and photographs of a subset.

    Every annotation file is read once, here; a process that draws gets the annotations of its images alone.

    Args:
        annotations: hold `instances_*.json` and `stuff_*.json` in any folders. An image that several files of a
            kind list is taken from the first by name.
        images: COCO's photographs in any folders, looked for in this order.
        subset: `10k`: the images of COCO-Stuff-10K by its lists; `164k`: those of `*_train2017.json` and
            `*_val2017.json`.

    Raises:
        UserError: no such files at all, or an annotation file is broken.
    """
    photographs = files_by_id(images, len(annotations), ".jpg")
    files = _find_files(annotations)
    if subset == "10k":
        ids = tuple(coco_stuff_10k_images().values())
        regions, _ = _read(files, {image_id for listed in ids for image_id in listed})
    else:
        there = {(file.kind, file.set) for file in files}
        missing = [f"{kind}_{name}.json" for kind in KINDS for name in FOLDERS_2017 if (kind, name) not in there]
        if missing:
            raise UserError(f"{describe(annotations)}: no {', '.join(missing)}; subset 164k needs these files")
        regions, listed = _read([file for file in files if file.set in FOLDERS_2017], None)
        ids = tuple(listed[name] for name in FOLDERS_2017)
    name = IMAGE_NAMES[subset]
    pairs = pair(
        tuple(map(name, listed) for listed in ids),
        {name(i): member for i, member in photographs.items()},
        {name(i): found for i, found in regions.items()},
        (expected_photograph(images), f"it in instances_*.json and stuff_*.json of {describe(annotations)}"),
    )
    return Conversion(f"coco_json {subset}", (*annotations, *images), draw, coco_stuff().names, *pairs)


def draw(image: ImageRegions, where: str) -> NDArray[np.uint8]:
    """Draw an image's annotations into a label map.

    Args:
        image: the annotations.
        where: what messages call them.

    Returns: class ids and 255, uint8 [H, W].

    Raises:
        UserError: a raw id that COCO-Stuff does not have, or a broken shape.
    """
    label = np.full((image.height, image.width), IGNORE, np.uint8, order="F")  # the order of decoded masks
    for regions in image.kinds:
        codes = [(region.raw_id, _encode(region, image, where)) for region in regions if region.raw_id != OTHER]
        for raw_id, code in sorted(codes, key=lambda item: -int(run_lengths.area(item[1]))):
            try:
                mask = run_lengths.decode(code)
            except ValueError as error:
                raise _broken(where, raw_id, str(error)) from error
            if mask.sum(dtype=np.int64) != run_lengths.area(code):  # what is decoded only in part holds anything
                raise _broken(where, raw_id, "run lengths do not fill the image")
            np.copyto(label, np.uint8(CLASS_IDS[raw_id]), where=mask.view(bool))
    return label


def _encode(region: Region, image: ImageRegions, where: str) -> dict[str, Any]:
    """Return a region as compressed run lengths; polygons of fewer than three points have no area."""
    if region.raw_id not in CLASS_IDS:
        raise UserError(
            f"{where}: category {region.raw_id}; expected a class of COCO-Stuff, 1..182, or {OTHER} for other"
        )
    size = [image.height, image.width]
    try:
        if not isinstance(region.shape, Mapping):
            polygons = [polygon.tolist() for polygon in region.shape if polygon.size >= 6]
            if any(polygon.size % 2 for polygon in region.shape):
                raise ValueError("odd number of coordinates")
            parts = run_lengths.frPyObjects(polygons, *size) if polygons else []
            return run_lengths.merge(parts) if parts else run_lengths.encode(np.zeros(size, np.uint8, order="F"))
        if list(region.shape["size"]) != size:
            raise ValueError(f"size {region.shape['size']} in an image of height and width {size}")
        counts = region.shape["counts"]
        if isinstance(counts, str):
            return {"size": size, "counts": counts.encode("ascii")}
        return run_lengths.frPyObjects({"size": size, "counts": counts}, *size)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise _broken(where, region.raw_id, str(error)) from error


def _broken(where: str, raw_id: int, reason: str) -> UserError:
    return UserError(f"{where}: broken shape of category {raw_id} ({reason}); download the annotation files again")


def _find_files(trees: Sequence[Tree]) -> list[AnnotationFile]:
    """Return the annotation files of both kinds, sorted by name."""
    found: dict[str, AnnotationFile] = {}
    for tree in trees:
        for stem, name in files_in(tree, "", ".json").items():
            match = STEM.fullmatch(stem)
            if match and stem in found:
                raise UserError(f"{found[stem].where} and {tree.where(name)}: two files of one name; give one of them")
            if match:
                found[stem] = AnnotationFile(tree, name, *match.groups())
    missing = [f"{kind}_*.json" for kind in KINDS if kind not in {file.kind for file in found.values()}]
    if missing:
        raise UserError(f"{describe(trees)}: no {' and no '.join(missing)}; expected files of both kinds")
    return [file for _, file in sorted(found.items())]


def _read(
    files: Sequence[AnnotationFile], wanted: set[int] | None
) -> tuple[dict[int, ImageRegions], dict[str, set[int]]]:
    """Read annotation files.

    Args:
        files: of both kinds.
        wanted: image ids; None for all.

    Returns: the annotations of every image that both kinds list, by id; and the ids that either lists, by set.
    """
    sizes: dict[str, dict[int, tuple[int, int]]] = {kind: {} for kind in KINDS}
    regions: dict[str, dict[int, list[Region]]] = {kind: {} for kind in KINDS}
    listed: dict[str, set[int]] = {file.set: set() for file in files}
    for file in files:
        known = sizes[file.kind]
        images, annotations = _read_file(
            file, lambda i, known=known: i not in known and (wanted is None or i in wanted)
        )
        listed[file.set] |= images.keys()
        known |= images
        for image_id, region in annotations:
            regions[file.kind].setdefault(image_id, []).append(region)
    both = sizes["stuff"].keys() & sizes["instances"].keys()
    return {
        i: ImageRegions(*sizes["instances"][i], tuple(regions[kind].get(i, ()) for kind in KINDS)) for i in both
    }, listed


def _read_file(
    file: AnnotationFile, wanted: Callable[[int], bool]
) -> tuple[dict[int, tuple[int, int]], list[tuple[int, Region]]]:
    """Return the sizes and the regions of the wanted images of one file.

    Objects are made small as they are read: a polygon as Python numbers takes several times the space of its text.
    """

    def compact(item: dict[str, Any]) -> Any:
        if "segmentation" in item:
            shape = item["segmentation"]
            if not wanted(item["image_id"]):
                return None
            if not isinstance(shape, Mapping):
                shape = tuple(np.array(polygon, np.float64) for polygon in shape)
            return item["image_id"], Region(item["category_id"], shape)
        if "file_name" in item:
            return (item["id"], (item["height"], item["width"])) if wanted(item["id"]) else None
        return item

    with reading(file.tree.path):
        data = file.tree.read(file.name)
    try:
        content = json.loads(data, object_hook=compact)
        return dict(filter(None, content["images"])), list(filter(None, content["annotations"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file.where}: not one of COCO's annotation files ({type(error).__name__}: {error}); download it again"
        ) from error
