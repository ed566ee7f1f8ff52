"""Seeds: confident pixels of the maps, and their cleaning."""

import builtins
import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from simformer.baselines.class_maps import crf
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.seeds import confident, image_seeds, write_seeds
from simformer.baselines.settings import SeedSettings
from simformer.data.images import read_label
from simformer.data.labels import LabelSet
from simformer.errors import UserError
from tests.unit.baselines.stages import SEEDS, made_maps

HAS_CRF = importlib.util.find_spec("pydensecrf") is not None


def test_the_best_present_class_wins_where_it_is_confident():
    scores = torch.tensor([[[0.2, 0.6, 0.3]], [[0.29, 0.5, 0.3]]])
    assert confident(scores, (4, 9), 0.3).tolist() == [[255, 4, 4]]
    assert confident(scores[:0], (), 0.3).tolist() == [[255, 255, 255]]


def test_seeds_of_all_images_form_a_label_set(scenes, image_set, stages):
    assert LabelSet.load(stages.seeds.root / "labels.json") == stages.seeds
    assert stages.seeds.novel == ()
    by_name = {image.name: image for image in image_set.images}
    assert 0 < len(stages.seeds.images) <= len(by_name)
    for image in stages.seeds.images:
        seeds = read_label(stages.seeds.label_path(image))
        maps = stages.maps.read(image.name)
        assert np.array_equal(seeds, confident(maps.at_size(48, 48), maps.classes, SEEDS.threshold).numpy())
        assert set(image.classes) <= set(by_name[image.name].classes)


def test_where_a_class_is_unknown_the_present_ones_get_only_pixels_of_which_they_are_sure(scenes, image_set, tmp_path):
    """A pixel of a low score may be the unknown class's: a seed there would say that the class is absent."""
    generator = torch.Generator().manual_seed(0)

    def compute(images):
        for i in images:
            yield i, ClassMaps(i.classes, torch.rand(len(i.classes), 12, 12, generator=generator) ** 4, 4, (48, 48))

    maps = made_maps(image_set, "random", compute, tmp_path / "maps/maps.json")
    first, *others = image_set.images
    missing = min(set(range(len(image_set.classes))) - set(first.classes))
    labels = replace(image_set, images=(replace(first, unknown=(missing,)), *others))
    written = write_seeds(maps, scenes.data, labels, SeedSettings(threshold=0.2), tmp_path / "seeds")
    for image in written.images:
        mine, least = maps.read(image.name), 0.5 if image.name == first.name else 0.2
        expected = confident(mine.at_size(48, 48), mine.classes, least).numpy()
        assert np.array_equal(read_label(written.label_path(image)), expected)
    assert written.images[0].unknown == (missing,)


@pytest.fixture
def two_colours():
    """An image of two halves, and maps that have shifted the border by eight pixels into the second."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255
    scores = torch.zeros(2, 16, 16)
    scores[0, :, :10], scores[1, :, 10:] = 0.6, 0.5
    return ClassMaps((3, 7), scores, 4, (64, 64)), image


@pytest.mark.parametrize(
    "clean",
    ["pamr", pytest.param("crf", marks=pytest.mark.skipif(not HAS_CRF, reason="needs the extra 'crf'"))],
)
def test_cleaning_moves_seeds_to_the_edges_of_the_image(two_colours, clean):
    maps, image = two_colours
    truth = np.where(np.arange(64) < 32, 3, 7)[None].repeat(64, 0)
    plain, cleaned = (
        image_seeds(maps, image, SeedSettings(threshold=0.2, clean=c, iterations=n))
        for c, n in (("none", 1), (clean, 40))
    )
    assert cleaned.shape == (64, 64) and cleaned.dtype == np.uint8
    assert (cleaned == truth).mean() > (plain == truth).mean() + 0.01
    assert set(np.unique(cleaned)) <= {3, 7, 255}


@pytest.mark.parametrize("clean", ["pamr"] + ["crf"] * HAS_CRF)
def test_odd_sizes_and_images_without_classes(clean):
    image = np.random.default_rng(0).integers(0, 256, (45, 31, 3)).astype(np.uint8)
    settings = SeedSettings(clean=clean, iterations=1)
    for classes in ((), (4,), (4, 200)):
        maps = ClassMaps(classes, torch.rand(len(classes), 12, 8), 4, (45, 31))
        seeds = image_seeds(maps, image, settings)
        assert seeds.shape == (45, 31) and set(np.unique(seeds)) <= {*classes, 255}


def test_without_the_package_the_crf_says_what_to_type(monkeypatch):
    plain = builtins.__import__

    def without(name, *args, **keywords):
        if name.startswith("pydensecrf"):
            raise ImportError(name)
        return plain(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="pip install pydensecrf2"):
        crf.dense_crf(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), 2, 1)


def test_seeds_need_the_maps_of_every_image(scenes, image_set, stages, tmp_path):
    few = replace(stages.maps, checksums=dict(list(stages.maps.checksums.items())[:3]))
    with pytest.raises(UserError, match="no maps of image"):
        write_seeds(few, scenes.data, image_set, SEEDS, tmp_path)
