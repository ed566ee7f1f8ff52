"""The embedded demo: a seeded generator of synthetic scenes in the prepared layout (docs/demo.md).

A scene is one to three regions of stuff with wavy borders, one to four things on top, and clutter that belongs to no
class. A thing has a small head that is easy to recognise, and a larger body whose dull look several classes share. Some
classes often appear together, but never always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simformer.config.settings import IGNORE
from simformer.config.sources import SceneSettings
from simformer.data.images import encode_label, encode_png
from simformer.data.layout import IMAGES, LABELS, write_lists
from simformer.data.pool import in_processes
from simformer.data.shapes import SHAPES, draw_blob, draw_thing
from simformer.data.staging import staged_layout
from simformer.data.textures import HEADS, STUFF, Array, body_look, paint, random_look, smooth_noise

STUFF_NAMES, THING_NAMES = tuple(STUFF), tuple(SHAPES)
CLASS_NAMES = STUFF_NAMES + THING_NAMES
"""The K = 16 classes in id order."""

FAVOURITES = {
    "moon": "sky",
    "star": "sea",
    "disk": "grass",
    "heart": "sand",
    "square": "brick",
    "bar": "wood",
}
"""Things that appear more often than chance on a certain stuff."""

PARTNERS = ("heart", "ring")
"""Two things that appear together more often than chance."""

SIDE = 96.0
"""Length of the image's side in the unit of all lengths below, whatever the number of pixels."""

PREFERENCE = 3.0
HEAD_SHARE = 0.3
MIN_SHARE = 0.004
"""A class that shows less than this share of the image counts as clutter."""

STUFF_PART, BODY_PART, HEAD_PART, CLUTTER_PART = range(4)


@dataclass(frozen=True)
class Scene:
    """One rendered scene.

    Attributes:
        image: RGB, uint8 [H, W, 3].
        label: class id or 255, uint8 [H, W].
        parts: STUFF_PART, BODY_PART, HEAD_PART or CLUTTER_PART of each pixel, uint8 [H, W]; never written to
            disk, known to tests only.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    parts: NDArray[np.uint8]


def generate_scenes(destination: Path, settings: SceneSettings, workers: int = 1) -> None:
    """Write the training and test scenes in the prepared layout (`simformer.data.layout`).

    Equal settings give equal bytes, with any number of processes. An earlier layout at the destination is replaced once
    all is ready.
    """
    subsets = {"train": settings.train, "test": settings.test}
    names = {subset: [f"{subset}_{i:05d}" for i in range(count)] for subset, count in subsets.items()}
    places = [(split, i, name) for split, subset in enumerate(subsets) for i, name in enumerate(names[subset])]
    with staged_layout(destination) as root:
        for _ in in_processes(partial(_write_scene, root, settings), places, workers, str(destination)):
            pass
        write_lists(root, CLASS_NAMES, names["train"], names["test"])


def _write_scene(root: Path, settings: SceneSettings, place: tuple[int, int, str]) -> None:
    split, index, name = place
    scene = render_scene(settings, split, index)
    (root / IMAGES / f"{name}.png").write_bytes(encode_png(scene.image))
    (root / LABELS / f"{name}.png").write_bytes(encode_label(scene.label))


def render_scene(settings: SceneSettings, split: int, index: int) -> Scene:
    """Render one scene, a pure function of the settings (their counts aside), the split and the index.

    Args:
        settings: size, seed, difficulty and clutter.
        split: 0 for train, 1 for test.
        index: number of the scene in its split; class `index mod K` is sure to be placed.
    """
    rng = np.random.default_rng([settings.seed % 2**63, split, index])
    hard = settings.difficulty
    stuff, things = _choose_classes(rng, CLASS_NAMES[index % len(CLASS_NAMES)])
    y, x = np.mgrid[: settings.size, : settings.size].astype(np.float32) * np.float32(SIDE / settings.size)

    image = np.zeros((*x.shape, 3), np.float32)
    label = np.zeros(x.shape, np.uint8)
    for name, region in zip(stuff, _split_image(rng, x, y, len(stuff)), strict=True):
        image[region] = paint(rng, STUFF[name], x, y, region, 0.25 + 0.5 * hard)
        label[region] = CLASS_NAMES.index(name)
    parts = np.full(x.shape, STUFF_PART, np.uint8)

    centres = []
    for name in things:
        radius, angle = rng.uniform(20, 31), rng.uniform(0, 2 * np.pi)
        centre = _free_place(rng, parts != STUFF_PART, radius)
        whole, head = draw_thing(SHAPES[name], x, y, centre, radius, angle, HEAD_SHARE)
        image[whole] = paint(rng, body_look(name, hard), x, y, whole, 0.25 + 0.5 * hard)
        image[head] = paint(rng, HEADS[name], x, y, head, 0.15 + 0.3 * hard)
        label[whole] = CLASS_NAMES.index(name)
        parts[whole], parts[head] = BODY_PART, HEAD_PART
        centres.append((centre, radius))

    _add_clutter(rng, image, label, parts, x, y, centres, settings.clutter * rng.uniform(0.02, 0.2 + 0.06 * hard))
    counts = np.bincount(label.ravel(), minlength=IGNORE + 1)
    hidden = (counts < MIN_SHARE * label.size)[label]
    label[hidden], parts[hidden] = IGNORE, CLUTTER_PART
    return Scene(_photograph(rng, image, hard), label, parts)


def _choose_classes(rng: np.random.Generator, first: str) -> tuple[list[str], list[str]]:
    """Draw the stuff and the things of a scene, `first` among them, by preference but never surely."""
    stuff = [first] if first in STUFF else []
    things = [first] if first in HEADS else []
    for _ in range(rng.choice([1, 2, 3], p=[0.25, 0.5, 0.25]) - len(stuff)):
        liked = [FAVOURITES.get(name) for name in things]
        stuff.append(_draw(rng, STUFF_NAMES, stuff, liked))
    for _ in range(rng.choice([1, 2, 3, 4], p=[0.1, 0.3, 0.35, 0.25]) - len(things)):
        liked = [name for name, favourite in FAVOURITES.items() if favourite in stuff]
        liked += [other for name, other in (PARTNERS, PARTNERS[::-1]) if name in things]
        things.append(_draw(rng, THING_NAMES, things, liked))
    return [stuff[i] for i in rng.permutation(len(stuff))], [things[i] for i in rng.permutation(len(things))]


def _draw(rng: np.random.Generator, names: tuple[str, ...], taken: list[str], liked: list[str | None]) -> str:
    """Draw a name that is not taken; a liked one is PREFERENCE times as likely."""
    weights = np.array([0.0 if name in taken else PREFERENCE if name in liked else 1.0 for name in names])
    return str(rng.choice(names, p=weights / weights.sum()))


def _split_image(rng: np.random.Generator, x: Array, y: Array, count: int) -> list[NDArray[np.bool_]]:
    """Split the image by wavy borders into one to three regions, each a bool mask [H, W]."""
    regions = [np.ones(x.shape, bool)]
    angle = np.pi / 2 + rng.normal(0, 0.5)
    while len(regions) < count:
        largest = regions.pop(int(np.argmax([region.sum() for region in regions])))
        bend = rng.uniform(8, 20) * smooth_noise(rng, x.shape, 5, 5)
        position = math.cos(angle) * x + math.sin(angle) * y + bend
        side = position < np.quantile(position[largest], rng.uniform(0.35, 0.65))
        regions += [largest & side, largest & ~side]
        angle += rng.uniform(0.3, np.pi / 2)
    return regions


def _free_place(rng: np.random.Generator, taken: NDArray[np.bool_], radius: float) -> Array:
    """Return the least occupied of several random centres (x, y)."""
    size = len(taken)
    centres = rng.uniform(0.12 * SIDE, 0.88 * SIDE, (8, 2))
    corners = np.clip(((centres[:, None] + [[-radius], [radius]]) * size / SIDE).astype(int), 0, size)
    overlaps = [taken[top:bottom, left:right].sum() for (left, top), (right, bottom) in corners]
    place: Array = centres[int(np.argmin(overlaps))]
    return place


def _add_clutter(
    rng: np.random.Generator,
    image: Array,
    label: NDArray[np.uint8],
    parts: NDArray[np.uint8],
    x: Array,
    y: Array,
    things: list[tuple[Array, float]],
    share: float,
) -> None:
    """Paint unlabelled pieces, in place, beside, behind and partly in front of things.

    They take about that share of the image; `image`, `label` and `parts` are changed.
    """
    missing = share * label.size
    for _ in range(8):
        if missing < MIN_SHARE * label.size:
            return
        radius = float(np.clip(np.sqrt(rng.uniform(0.3, 1.0) * missing / np.pi) * SIDE / len(label), 4, 22))
        if rng.random() < 0.6:
            (centre, reach), turn = things[rng.integers(len(things))], rng.uniform(0, 2 * np.pi)
            centre = centre + (0.7 * reach + 0.3 * radius) * np.array([np.cos(turn), np.sin(turn)])
        else:
            centre = rng.uniform(0, SIDE, 2)
        piece = draw_blob(rng, x, y, centre, radius) & (parts != CLUTTER_PART)
        if rng.random() < 0.5:
            piece &= parts == STUFF_PART
        image[piece] = paint(rng, random_look(rng), x, y, piece, 0.0)
        label[piece], parts[piece] = IGNORE, CLUTTER_PART
        missing -= piece.sum()


def _photograph(rng: np.random.Generator, image: Array, hard: float) -> NDArray[np.uint8]:
    """Blur edges a little, then add uneven light, a colour cast and noise; uint8 [H, W, 3]."""
    for axis in (0, 1):
        image = 0.5 * image + 0.25 * (np.roll(image, 1, axis) + np.roll(image, -1, axis))
    light = 1 + (0.1 + 0.25 * hard) * (smooth_noise(rng, image.shape[:2], 2, 2)[..., None] - 0.5)
    cast = 1 + (0.03 + 0.07 * hard) * rng.uniform(-1, 1, 3).astype(np.float32)
    noise = (0.015 + 0.045 * hard) * rng.standard_normal(image.shape, dtype=np.float32)
    picture: NDArray[np.uint8] = (np.clip(image * light * cast + noise, 0, 1) * 255 + 0.5).astype(np.uint8)
    return picture
