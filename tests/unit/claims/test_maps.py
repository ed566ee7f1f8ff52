"""Claims about class maps, on maps that are made from the truth, from noise and from other images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.compared_maps import MapArm, read_arms
from simformer.baselines.expansion.psa_irn import blurred_maps
from simformer.baselines.settings import WalkSettings
from simformer.claims.label_measures import class_precisions, iou_counts, own_argmax_counts, threshold_counts
from simformer.claims.maps import chosen_images, map_claims, measure
from simformer.claims.table import evaluate
from simformer.data.derived_labels import UNSURE, fill_labels
from simformer.data.images import read_label
from simformer.data.masking import mask_labels
from simformer.data.splits import Split
from tests.unit.baselines.stages import made_maps

TRUTH = np.array([[1, 1, 2, 2], [1, 1, 2, 255], [3, 3, 3, 3]], np.uint8)
NOVEL = (1, 2)
WALK = WalkSettings(radius=3, steps=40)


def one_hot(label: np.ndarray, present: tuple[int, ...]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(label == c).float() for c in present])


def test_counts_by_hand():
    predicted = np.array([[1, 2, 2, 1], [255, 1, 2, 2], [1, 3, 3, 3]], np.uint8)
    # class 1: hits (0,0) (1,1); union: 4 true + (0,3) + (2,0). Class 2: hits (0,2) (1,2); union: 3 true + (0,1)
    assert iou_counts(predicted, TRUTH, NOVEL).tolist() == [[2, 6], [2, 4]]
    assert iou_counts(predicted, np.full_like(TRUTH, 255), NOVEL).tolist() == [[0, 0], [0, 0]]


def test_own_argmax_counts_wins_of_base_classes_and_silence_as_misses_in_the_novel_region_alone():
    present = (1, 2, 3)
    scores = one_hot(TRUTH, present)
    assert own_argmax_counts(scores, present, TRUTH, NOVEL).tolist() == [[4, 4], [3, 3]]
    loud = scores.clone()
    loud[2, 0, 0] = 9.0  # a base class wins a pixel of class 1
    loud[:, 0, 3] = 0.0  # nothing has a score on a pixel of class 2
    loud[0, 2] = 9.0  # class 1 wins base pixels, which are not looked at
    assert own_argmax_counts(loud, present, TRUTH, NOVEL).tolist() == [[3, 4], [2, 3]]


def test_thresholds_take_pixels_away_on_the_whole_image():
    present, scores = (1, 2, 3), one_hot(TRUTH, (1, 2, 3))
    scores[0, 2, :2], scores[2, 2, :2] = 0.6, 0.1  # class 1 spills onto base pixels, less sure
    counts = threshold_counts(scores, present, TRUTH, NOVEL, (0.0, 0.5, 0.7))
    assert counts[:, 0].tolist() == [[4, 6], [4, 6], [4, 4]]


def test_precision_of_every_novel_class_that_is_there():
    present, scores = (1, 2, 3), one_hot(TRUTH, (1, 2, 3))
    assert class_precisions(scores, present, TRUTH, (1, 2, 3, 4)) == {1: 1.0, 2: 1.0, 3: 1.0}
    worst = class_precisions(1 - scores, present, TRUTH, NOVEL)
    assert worst[1] == pytest.approx(4 / 11) and 255 not in worst


def test_equal_affinities_blur_and_look_at_no_image():
    scores = torch.zeros(1, 8, 8)
    scores[0, 2, 2] = 1.0
    maps = ClassMaps((5,), scores, 4, (32, 32))
    for kind, grid in (("psa", (4, 4)), ("irn", (8, 8))):
        blurred = blurred_maps(kind, maps, WalkSettings(radius=3, steps=60))
        assert blurred.scores.shape == (1, *grid) and blurred.scores.max() == 1
        assert blurred.scores.min() > 0.3, "it has reached every corner"
    assert blurred_maps("psa", ClassMaps((), torch.zeros(0, 8, 8), 4, (32, 32)), WALK).classes == ()


@pytest.fixture(scope="module")
def label_sets(scenes, masked, tmp_path_factory):
    """Label sets of the scenes: masked, with all masks, and filled."""
    folder = tmp_path_factory.mktemp("label_sets")
    full = mask_labels(scenes.data, scenes.index, Split(scenes.index.classes, ()), folder / "full")
    return masked, full, fill_labels(masked, folder / "fill")


def maps_of(label_set, folder, noise: float, keep: float = 1.0, shrink: int = 1) -> MapSet:
    """Maps at stride 4 that show the truth: `keep` of its cells, under noise; of images of 1/`shrink` of their size."""
    rng = np.random.default_rng(0)

    def compute(images):
        for image in images:
            label = read_label(label_set.label_path(image))[:: 4 * shrink, :: 4 * shrink]
            scores = one_hot(label, image.classes).numpy()
            scores = scores * (rng.random(scores.shape) < keep) + noise * rng.random(scores.shape)
            extent = image.height // shrink, image.width // shrink
            yield image, ClassMaps(image.classes, torch.from_numpy(scores / (1 + noise)), 4, extent)

    blind = replace(label_set, hidden=tuple(range(len(label_set.classes))))
    return made_maps(blind, f"{noise} {keep} {shrink}", compute, folder / "maps.json")


@pytest.fixture(scope="module")
def verdicts(label_sets, tmp_path_factory):
    """What the claims come to: poor plain maps, better ones of another network, the best after a walk."""
    masked, full, filled = label_sets
    folder = tmp_path_factory.mktemp("maps")
    arms = [
        MapArm("classifier", "classifier", maps_of(full, folder / "poor", 0.6, 0.6), 0.1),
        MapArm("classifier+psa", "classifier", maps_of(full, folder / "best", 0.1), 0.1, ("psa", WALK)),
        MapArm("seam", "seam", maps_of(full, folder / "good", 0.4, 0.8), 0.1),
    ]
    return [evaluate([claim]) for claim in map_claims(arms, masked, full, filled)]


def of(verdicts, check, first, second):
    return [v for v in verdicts if (v["check"], v["first"], v["second"]) == (check, first, second)]


def test_m1_better_maps_are_found_better_by_every_measure(verdicts):
    for check, first in (("M1", "seam"), ("X1", "classifier+psa")):
        found = of(verdicts, check, first, "classifier")
        assert [v["statistic"] for v in found] == ["difference", "iou", "iou"]
        assert all(v["shown"] == "yes" and v["control"] == "no" for v in found)
    assert of(verdicts, "M0", "classifier", "constant map")[0]["shown"] == "yes"


def test_x1_a_walk_beats_a_blur(verdicts):
    found = of(verdicts, "X1", "classifier+psa", "classifier+psa, equal affinities")
    assert len(found) == 3 and all(v["shown"] == "yes" and v["control"] == "yes" for v in found)


def test_x2_mixed_labels_in_order_on_images_with_two_novel_classes(verdicts, label_sets):
    several = [i for i in label_sets[0].images if len(label_sets[0].novel_labels(i)) > 1]
    for first, second in (("classifier", "fill"), ("seam", "classifier"), ("classifier+psa", "classifier")):
        (found,) = of(verdicts, "X2", first, second)
        assert found["images"] == len(several) and found["value"] > 0
    assert of(verdicts, "X2", "classifier+psa", "classifier")[0]["shown"] == "yes"


def test_x4_shuffled_labels_fall_below_filling(verdicts):
    for arm in ("classifier", "seam"):
        (low,), (lost,) = of(verdicts, "X4", f"{arm}, shuffled", "fill"), of(verdicts, "X4", arm, f"{arm}, shuffled")
        assert low["value"] < 0 and lost["shown"] == "yes" and low["control"] == lost["control"] == "yes"


def test_maps_of_other_images_are_not_better(label_sets, tmp_path):
    """The claims can fail: maps that show another image's truth."""
    masked, full, filled = label_sets
    others = {image.name: other for image, other in zip(full.images, full.images[1:] + full.images[:1], strict=True)}
    wrong = replace(full, images=tuple(replace(i, label=others[i.name].label) for i in full.images))
    arms = [
        MapArm("classifier", "classifier", maps_of(full, tmp_path / "right", 0.3), 0.1),
        MapArm("seam", "seam", maps_of(wrong, tmp_path / "wrong", 0.3), 0.1),
    ]
    found = [evaluate([c]) for c in map_claims(arms, masked, full, filled) if c.check == "M1"]
    assert [v["shown"] for v in found] == ["opposite"] * 3


def test_maps_made_at_different_image_sizes_are_not_compared(label_sets, tmp_path):
    masked, full, filled = label_sets
    small = maps_of(full, tmp_path / "small", 0.2, shrink=2)
    arms = [
        MapArm("classifier", "classifier", maps_of(full, tmp_path / "plain", 0.6, 0.6), 0.1),
        MapArm("rib", "rib", small, 0.1),
        MapArm("rib+psa", "rib", small, 0.1, ("psa", WALK)),
    ]
    found = [evaluate([claim]) for claim in map_claims(arms, masked, full, filled)]
    mixed = [v for v in found if v["first"].startswith("rib") and v["second"] == "classifier"]
    assert len(mixed) == 5 and all(v["images"] == 0 and v["shown"] == "-" for v in mixed)
    assert all(v["images"] for v in found if v not in mixed), "what depends on no size is still measured"


def test_mixed_labels_of_images_with_an_unknown_class_are_those_trained_on(label_sets, stages):
    masked, full, filled = label_sets
    doubtful = replace(masked, images=tuple(replace(image, unknown=(255,)) for image in masked.images))
    low, sure = ([MapArm("classifier", "classifier", stages.maps, gamma)] for gamma in (0.1, UNSURE))
    found, expected, plain = (
        measure(arms, labels, full, filled)["classifier"].mixed
        for arms, labels in ((low, doubtful), (sure, masked), (low, masked))
    )
    assert found and all(np.array_equal(found[name], expected[name]) for name in expected)
    assert any(not np.array_equal(plain[name], expected[name]) for name in expected)


def test_images_are_taken_evenly_from_those_with_novel_classes(label_sets):
    masked = label_sets[0]
    assert all(masked.novel_labels(image) for image in chosen_images(masked))
    few = chosen_images(masked, 3)
    assert len({i.name for i in few}) == 3 and few == chosen_images(masked, 3)


def test_arms_from_a_command_line(label_sets, tmp_path):
    path = str(maps_of(label_sets[1], tmp_path, 0.1).root / "maps.json")
    plain = {"name": "classifier", "start": "classifier", "maps": path, "gamma": 0.1, "kind": None, "walk": None}
    walked = plain | {"name": "classifier+irn", "kind": "irn", "walk": {"steps": 3}}
    first, second = read_arms([plain, walked])
    assert not first.walked and first.walk is None and second.walked
    assert second.walk == ("irn", WalkSettings(steps=3))
