"""COCO-Stuff from COCO's annotation files: things and stuff, drawn into one label map per image.

Stuff is drawn first, things on top of it; of each kind larger areas first, so that small ones stay visible. Pixels
that nothing covers are 255. COCO's label maps (`coco_stuff_maps`) may order overlapping things in another way. What the
files look like: `simformer.data.coco_annotations`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

from simformer.config.settings import IGNORE
from simformer.data.archive import Tree, files_in
from simformer.data.class_tables import coco_stuff, coco_stuff_10k_images
from simformer.data.coco import FOLDERS_2017, IMAGE_NAMES, Subset, describe, expected_photograph, files_by_id
from simformer.data.coco_annotations import MEND, OTHER, AnnotationFile, Region, read_annotations
from simformer.data.coco_shapes import BrokenShape, encode
from simformer.data.convert import Conversion, pair
from simformer.errors import UserError, describe_problems

KINDS = ("stuff", "instances")
"""Kinds of annotation files in the order in which they are drawn."""

STEM = re.compile(rf"({'|'.join(KINDS)})_(\w+)")
CLASS_IDS = {raw_id: k for k, raw_id in enumerate(coco_stuff().raw_ids)}


@dataclass(frozen=True, slots=True)
class Layer:
    """The annotations of one kind of an image, in drawing order, and the file that they are from."""

    where: str
    regions: Sequence[Region]


@dataclass(frozen=True, slots=True)
class ImageRegions:
    """An image: its id, its size in pixels, and its annotations by kind in drawing order."""

    id: int
    height: int
    width: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a file says of an image."""

    where: str
    size: tuple[int, int]


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
        UserError: no such files at all, or broken ones: a line for each broken entry.
    """
    photographs = files_by_id(images, len(annotations), ".jpg")
    files = _find_files(annotations)
    if subset == "10k":
        ids: list[Collection[int]] = list(coco_stuff_10k_images().values())
        regions, _ = _read(files, {image_id for listed in ids for image_id in listed})
    else:
        there = {(file.kind, file.set) for file in files}
        missing = [f"{kind}_{name}.json" for kind in KINDS for name in FOLDERS_2017 if (kind, name) not in there]
        if missing:
            raise UserError(f"{describe(annotations)}: no {', '.join(missing)}; subset 164k needs these files")
        regions, of_sets = _read([file for file in files if file.set in FOLDERS_2017], None)
        ids = [of_sets[name] for name in FOLDERS_2017]
    name = IMAGE_NAMES[subset]
    pairs = pair(
        [map(name, listed) for listed in ids],
        {name(i): member for i, member in photographs.items()},
        {name(i): found for i, found in regions.items()},
        (expected_photograph(images), f"it in instances_*.json and stuff_*.json of {describe(annotations)}"),
    )
    return Conversion(f"coco_json {subset}", (*annotations, *images), draw, coco_stuff().names, *pairs)


def draw(image: ImageRegions, where: str) -> NDArray[np.uint8]:
    """Draw an image's annotations into a label map.

    Args:
        image: the annotations.
        where: what messages call them; each annotation is named by its file and id instead.

    Returns: class ids and 255, uint8 [H, W].

    Raises:
        UserError: broken shapes, a line for each.
    """
    label = np.full((image.height, image.width), IGNORE, np.uint8, order="F")  # the order of decoded masks
    problems = []
    for layer in image.layers:
        codes = []
        for region in layer.regions:
            try:
                codes.append((region.raw_id, encode(region.shape, image.height, image.width)))
            except BrokenShape as error:
                problems.append(f"{layer.where}: annotation {region.id} of image {image.id}: {error}; {MEND}")
        shapes = [(raw_id, code) for raw_id, code in codes if raw_id != OTHER]
        for raw_id, code in sorted(shapes, key=lambda item: -int(run_lengths.area(item[1]))):
            np.copyto(label, np.uint8(CLASS_IDS[raw_id]), where=run_lengths.decode(code).view(bool))
    if problems:
        raise UserError("\n".join(problems))
    return label


def _find_files(trees: Sequence[Tree]) -> list[AnnotationFile]:
    """Return the annotation files of both kinds, sorted by name."""
    found: dict[str, AnnotationFile] = {}
    for tree in trees:
        for stem, name in files_in(tree, "", ".json").items():
            match = STEM.fullmatch(stem)
            if match and stem in found:
                both = f"{found[stem].where} and {tree.where(name)}"
                raise UserError(f"{both}: two files have one name; give one of them")
            if match:
                found[stem] = AnnotationFile(tree, name, *match.groups())
    missing = [f"{kind}_*.json" for kind in KINDS if kind not in {file.kind for file in found.values()}]
    if missing:
        raise UserError(f"{describe(trees)}: no {' and no '.join(missing)}; expected files of both kinds")
    return [file for _, file in sorted(found.items())]


def _read(
    files: Sequence[AnnotationFile], wanted: set[int] | None
) -> tuple[dict[int, ImageRegions], dict[str, set[int]]]:
    """Read annotation files of both kinds, of all images if none are named; UserError has a line for each broken entry.

    Returns: the annotations of every image that both kinds list, by id; and the ids that either lists, by set.
    """
    images: dict[str, dict[int, _Listed]] = {kind: {} for kind in KINDS}
    regions: dict[str, dict[int, list[Region]]] = {kind: {} for kind in KINDS}
    listed: dict[str, set[int]] = {file.set: set() for file in files}
    problems: list[str] = []
    for file in files:
        known, where = images[file.kind], file.where
        found = read_annotations(file, partial(_is_wanted, known, wanted))
        problems += found.problems
        listed[file.set] |= found.sizes.keys()
        known |= {image_id: _Listed(where, size) for image_id, size in found.sizes.items()}
        for image_id, region in found.regions:
            regions[file.kind].setdefault(image_id, []).append(region)
    both = images["stuff"].keys() & images["instances"].keys()
    problems += [line for i in sorted(both) for line in _unequal(i, *(images[kind][i] for kind in KINDS))]
    if problems:
        raise UserError(describe_problems(describe(list(dict.fromkeys(file.tree for file in files))), problems))
    return {
        i: ImageRegions(
            i,
            *images["instances"][i].size,
            tuple(Layer(images[kind][i].where, regions[kind].get(i, ())) for kind in KINDS),
        )
        for i in both
    }, listed


def _unequal(image_id: int, *files: _Listed) -> list[str]:
    """Return a line if the files do not agree on the size of an image."""
    if len({file.size for file in files}) == 1:
        return []
    sizes = " but ".join(f"{file.size[0]} x {file.size[1]} in {file.where}" for file in files)
    return [f"image {image_id}: height x width is {sizes}; expected equal sizes"]


def _is_wanted(known: Container[int], wanted: Container[int] | None, image_id: int) -> bool:
    return image_id not in known and (wanted is None or image_id in wanted)
