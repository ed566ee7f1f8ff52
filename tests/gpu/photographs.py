"""A dataset that is nobody's: synthetic photographs as JPEG files, with the classes of a case, and its labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from simformer.config.settings import IGNORE
from simformer.config.sources import SceneSettings
from simformer.data.audit import audit
from simformer.data.images import write_label
from simformer.data.index import DatasetIndex
from simformer.data.labels import LabelSet
from simformer.data.layout import IMAGES, LABELS, write_lists
from simformer.data.masking import image_labels, mask_labels
from simformer.data.scenes import render_scene
from simformer.data.splits import make_split
from tests.workloads import Case

SCENES = 8
"""Scenes that are rendered; the photographs are their shifted, mirrored and noisy copies, which take less time."""
TEST_SHARE = 8
"""One photograph of so many is for testing."""
QUALITY = 90


@dataclass(frozen=True)
class Photographs:
    """The dataset on disk.

    Attributes:
        data: folder of the prepared layout.
        index: audited.
        weak: label set with hidden novel pixels.
        full: label set with all masks.
        tags: label set of image-level labels alone.
    """

    data: Path
    index: DatasetIndex
    weak: LabelSet
    full: LabelSet
    tags: LabelSet


def write_photographs(folder: Path, case: Case, count: int, size: tuple[int, int], seed: int = 0) -> Photographs:
    """Write a dataset of synthetic photographs, audit it, and make its label sets.

    Args:
        folder: new files go there.
        case: its number of classes, the last of which are novel.
        count: of photographs.
        size: height and width of each.
        seed: of everything.
    """
    rng, data = np.random.default_rng(seed), folder / "data"
    settings = SceneSettings(size=max(32, max(size) // 2), difficulty=0.3, seed=seed)
    scenes = [render_scene(settings, 0, number) for number in range(min(SCENES, count))]
    names, next_class = [f"photograph_{number:04d}" for number in range(count)], 0
    for number, name in enumerate(names):
        scene = scenes[number % len(scenes)]
        pixels, label_map = _enlarged(scene.image, size), _enlarged(scene.label, size, Image.Resampling.NEAREST)
        shift = int(rng.integers(size[1]))
        pixels, label_map = np.roll(pixels, shift, axis=1), np.roll(label_map, shift, axis=1)
        grain = rng.integers(-6, 7, pixels.shape, dtype=np.int16)
        shown = [ident for ident in np.unique(label_map) if ident != IGNORE]
        table = np.full(256, IGNORE, np.uint8)
        for place, ident in enumerate(shown):  # consecutive classes, so that all of them are shown somewhere
            table[ident] = (next_class + place) % case.classes
        next_class += len(shown)
        path = data / IMAGES / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(path, quality=QUALITY)
        write_label(data / LABELS / f"{name}.png", table[label_map])
    classes = [f"class {number}" for number in range(case.classes)]
    tested = max(1, count // TEST_SHARE)
    write_lists(data, classes, names[:-tested], names[-tested:])
    index = audit(data, 1)[0]
    shown = {ident for record in index.train for ident in record.labels}
    novel = [name for ident, name in enumerate(classes) if ident >= case.classes - case.novel and ident in shown]
    return Photographs(
        data,
        index,
        mask_labels(data, index, make_split(index.classes, {"novel": novel}), folder / "weak"),
        mask_labels(data, index, make_split(index.classes, {"full": True}), folder / "full"),
        image_labels(index, folder / "tags"),
    )


def _enlarged(
    picture: np.ndarray, size: tuple[int, int], method: Image.Resampling = Image.Resampling.BICUBIC
) -> np.ndarray:
    """Enlarge a square picture to the longer side, and cut off what is too high."""
    height, width = size
    side = max(size)
    return np.asarray(Image.fromarray(picture).resize((side, side), method))[:height, :width]
