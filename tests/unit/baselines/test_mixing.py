"""The mixed-label rule: U7 (SEAM, CPN), U6 (CONTA, RIB), E9 (RETAB)."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.baselines.mixing import mixed_labels
from simformer.data.derived_labels import UNSURE, mix_scores
from simformer.data.images import read_label
from simformer.data.labels import LabelSet
from simformer.errors import UserError
from tests.unit.baselines.stages import made_maps

NOVEL = [3, 6]


def example(seed: int = 0):
    """Scores of two novel classes, and a label map with a not-base region."""
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.random((2, 7, 9)).astype(np.float32))
    masked = torch.from_numpy(rng.choice([1, 4, 255], size=(7, 9)).astype(np.uint8))
    return scores, masked


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), gamma=st.sampled_from([0.0, 0.1, 0.6, 0.95, 1.5]))
def test_u6_u7_e9_the_rule_pixel_by_pixel(seed, gamma):
    scores, masked = example(seed)
    mixed = mix_scores(scores, NOVEL, masked, gamma, ())
    region = masked == 255
    full = dict(zip(NOVEL, scores, strict=True))
    highest = {c: full[c][region].max() for c in NOVEL if region.any()}
    for y in range(7):
        for x in range(9):
            if not region[y, x]:
                assert mixed[y, x] == masked[y, x]
                continue
            z = {c: float(full[c][y, x] / highest[c]) for c in NOVEL}
            best = max(z, key=z.get)
            assert mixed[y, x] == (best if z[best] >= gamma else 255)
    assert (mixed.dtype, mixed.shape) == (torch.uint8, (7, 9))


def test_u6_u7_gamma_zero_fills_the_region_and_above_one_leaves_it_empty():
    scores, masked = example()
    region = masked == 255
    assert set(mix_scores(scores, NOVEL, masked, 0.0, ())[region].tolist()) <= set(NOVEL)
    assert set(mix_scores(scores, NOVEL, masked, 1.01, ())[region].tolist()) == {255}


def test_u7_without_novel_classes_nothing_changes():
    scores, masked = example()
    assert torch.equal(mix_scores(scores[:0], [], masked, 0.0, ()), masked)
    base = torch.full((7, 9), 4, dtype=torch.uint8)
    assert torch.equal(mix_scores(scores, NOVEL, base, 0.0, ()), base)


def test_the_denominator_is_the_maximum_over_the_region_not_over_the_image():
    scores = torch.tensor([[[1.0, 0.1]], [[0.0, 0.09]]])
    masked = torch.tensor([[7, 255]], dtype=torch.uint8)
    assert mix_scores(scores, [1, 2], masked, 0.5, ())[0, 1] == 1
    assert mix_scores(scores[:1], [1], masked, 0.5, ())[0, 1] == 1, "0.1 of the image's maximum, 1 of the region's"


def test_a_class_without_any_score_in_the_region_gets_nothing():
    scores = torch.zeros(2, 2, 2)
    scores[0] = 0.5
    masked = torch.full((2, 2), 255, dtype=torch.uint8)
    assert (mix_scores(scores, [1, 2], masked, 0.1, ()) == 1).all()
    assert (mix_scores(scores[1:], [2], masked, 0.1, ()) == 255).all()


def test_e9_the_mixed_set_is_the_rule_image_by_image(scenes, masked, stages, tmp_path):
    mixed = mixed_labels(stages.maps, masked, 0.3, tmp_path)
    assert mixed == LabelSet.load(tmp_path / "labels.json") and mixed.novel == ()
    after = {image.name: image for image in mixed.images}
    facts = json.loads((tmp_path / "facts.json").read_text())
    labelled = 0
    for image in masked.images:
        seen, novel = read_label(masked.label_path(image)), masked.novel_labels(image)
        found = read_label(mixed.label_path(after[image.name]))
        assert np.array_equal(found[seen != 255], seen[seen != 255])
        assert set(np.unique(found[seen == 255])) <= {*novel, 255}
        if novel:
            scores = stages.maps.read(image.name).select(novel).at_size(48, 48)
            assert np.array_equal(found, mix_scores(scores, novel, torch.from_numpy(seen), 0.3, ()).numpy())
            region = found[seen == 255]
            assert facts["images"][image.name]["ignored_share"] == pytest.approx((region == 255).mean())
            lost = [masked.classes[c] for c in novel if c not in region]
            assert facts["images"][image.name]["lost"] == lost
            labelled += np.isin(found, novel).sum()
        else:
            assert np.array_equal(found, seen) and image.name not in facts["images"]
    assert labelled > 100
    assert facts["images_with_novel_labels"] == len(facts["images"]) > 5
    assert 0 < facts["novel_share"] <= 1 and facts["gamma"] == 0.3


def test_images_with_an_unknown_class_get_only_what_is_sure(masked, stages, tmp_path):
    positions = [n for n, image in enumerate(masked.images) if masked.novel_labels(image)][:4]
    images = list(masked.images)
    for position in positions:
        absent = next(c for c in masked.novel if c not in images[position].classes)
        images[position] = replace(images[position], unknown=(absent,))
    doubtful = mixed_labels(stages.maps, replace(masked, images=tuple(images)), 0.0, tmp_path / "doubtful")
    known = mixed_labels(stages.maps, masked, 0.0, tmp_path / "known")
    sure = mixed_labels(stages.maps, masked, UNSURE, tmp_path / "sure")
    found = [{image.name: image for image in labels.images} for labels in (doubtful, known, sure)]
    for position, image in enumerate(images):
        mine, its, careful = (labels.get(image.name) for labels in found)
        assert mine is None or mine.unknown == image.unknown
        expected = careful if position in positions else its
        assert (mine and mine.label_sha256) == (expected and expected.label_sha256)


def test_e9_louder_maps_of_base_classes_change_nothing(masked, stages, image_set, tmp_path):
    def louder(images):
        for image in images:
            maps = stages.maps.read(image.name)
            base = torch.tensor([c not in masked.novel for c in maps.classes])
            yield image, replace(maps, scores=torch.where(base[:, None, None], torch.ones(()).half(), maps.scores))

    loud = made_maps(image_set, "louder", louder, tmp_path / "loud" / "maps.json")
    assert (
        mixed_labels(loud, masked, 0.1, tmp_path / "a").hash
        == mixed_labels(stages.maps, masked, 0.1, tmp_path / "b").hash
    )


def test_an_image_without_maps_of_its_novel_classes_is_an_error(masked, stages, tmp_path):
    image = next(image for image in masked.images if masked.novel_labels(image))
    others = {name: value for name, value in stages.maps.checksums.items() if name != image.name}
    with pytest.raises(UserError, match=f"image '{image.name}': .*no maps of image '{image.name}'"):
        mixed_labels(replace(stages.maps, checksums=others), masked, 0.1, tmp_path)
