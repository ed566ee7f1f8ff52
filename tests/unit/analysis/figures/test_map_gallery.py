"""Pictures of class maps: which images, what is drawn, and that the page holds it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from simformer.analysis.figures.map_gallery import arm_pictures, choose_scenes, draw_map_gallery, heat_overlay
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.compared_maps import MapArm
from simformer.data.derived_labels import UNSURE
from simformer.data.images import read_label
from simformer.data.masking import mask_labels
from simformer.data.splits import Split
from simformer.errors import UserError
from tests.unit.baselines.stages import made_maps


@pytest.fixture(scope="module")
def label_sets(scenes, masked, tmp_path_factory):
    nothing_novel = Split(scenes.index.classes, ())
    return masked, mask_labels(scenes.data, scenes.index, nothing_novel, tmp_path_factory.mktemp("full"))


def arm(name, label_set, folder) -> MapArm:
    """Maps that show the truth, each with another maximum."""

    def compute(images):
        for image in images:
            label = torch.from_numpy(read_label(label_set.label_path(image))[::4, ::4].copy())
            scores = torch.stack([(label == c).float() * (0.2 + 0.05 * c) for c in image.classes])
            yield image, ClassMaps(image.classes, scores, 4, (image.height, image.width))

    blind = replace(label_set, hidden=tuple(range(len(label_set.classes))))
    return MapArm(name, "classifier", made_maps(blind, name, compute, folder / "maps.json"), 0.1)


def test_images_with_several_novel_classes_come_first_and_classes_take_turns(label_sets):
    masked, full = label_sets
    chosen = choose_scenes(masked, full, 4)
    assert chosen == choose_scenes(masked, full, 4)
    assert len({image.name for image, _ in chosen}) == len(chosen) == 4
    assert all(c in masked.novel_labels(image) for image, c in chosen)
    several = [i for i in masked.images if len(masked.novel_labels(i)) > 1]
    assert sum(len(masked.novel_labels(i)) > 1 for i, _ in chosen) >= min(2, len(several))
    everything = choose_scenes(masked, full, 1000)
    assert {i.name for i, _ in everything} == {i.name for i in masked.images if masked.novel_labels(i)}


def test_heat_shows_the_image_where_there_is_none():
    image = np.full((2, 2, 3), 200, np.uint8)
    picture = heat_overlay(image, np.array([[0.0, 1.0], [0.5, 2.0]]))
    assert np.allclose(picture[0, 0], picture[0, 0, 0]) and 0.2 < picture[0, 0, 0] < 0.4
    assert picture[0, 1].sum() > picture[1, 0].sum() > picture[0, 0].sum()
    assert np.array_equal(picture[0, 1], picture[1, 1]), "scores above 1 have the colour of 1"


def test_drawn_scores_reach_one_and_labels_keep_base_masks(label_sets, tmp_path):
    masked, full = label_sets
    shown = arm("classifier", full, tmp_path)
    image, named = choose_scenes(masked, full, 1)[0]
    base = read_label(masked.label_path(image))
    scores, mixed = arm_pictures(shown, image, named, base, masked)
    assert scores.shape == mixed.shape == base.shape and scores.max() == 1
    assert np.array_equal(mixed[base != 255], base[base != 255])
    assert set(np.unique(mixed[base == 255])) <= {*masked.novel_labels(image), 255}


def test_drawn_labels_of_an_image_with_an_unknown_class_are_those_trained_on(label_sets, stages):
    masked, full = label_sets
    image, named = choose_scenes(masked, full, 1)[0]
    doubtful = replace(image, unknown=(next(c for c in masked.novel if c not in image.classes),))
    base = read_label(masked.label_path(image))
    low, sure = (MapArm("classifier", "classifier", stages.maps, gamma) for gamma in (0.1, UNSURE))
    expected = arm_pictures(sure, image, named, base, masked)[1]
    assert np.array_equal(arm_pictures(low, doubtful, named, base, masked)[1], expected)
    assert not np.array_equal(arm_pictures(low, image, named, base, masked)[1], expected)


def test_a_second_image_is_drawn_beside_the_first(scenes, label_sets, tmp_path):
    """Three columns leave room for two images side by side; the scale and the legend are at the edges."""
    masked, full = label_sets
    arms = [arm(name, full, tmp_path / name) for name in ("classifier", "classifier+psa")]
    colours = []
    for count in (1, 2):
        draw_map_gallery(arms, scenes.data, masked, full, count, tmp_path / "maps.png")
        with Image.open(tmp_path / "maps.png") as page:
            pixels = np.array(page.convert("RGB"))
        height, width, _ = pixels.shape
        middle = pixels[height // 8 : height * 3 // 4]
        halves = middle[:, : width // 2], middle[:, width // 2 : width * 7 // 8]
        colours.append([len(np.unique(half.reshape(-1, 3), axis=0)) for half in halves])
    (first, empty), (still_first, second) = colours
    assert first > 1000 and still_first > 1000 and second > 1000 and empty < 10, colours


def test_a_split_without_novel_classes(scenes, label_sets, tmp_path):
    with pytest.raises(UserError, match="no training image has a novel class"):
        draw_map_gallery([], scenes.data, label_sets[1], label_sets[1], 3, tmp_path / "maps.png")
