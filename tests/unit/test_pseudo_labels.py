"""Mixed labels for re-training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simformer.build import TrainedModel, build_training
from simformer.config.pseudo import PseudoSettings
from simformer.config.settings import InferenceSettings
from simformer.data.derived_labels import join_labels, mix_scores
from simformer.data.images import read_label
from simformer.data.labels import LabelSet
from simformer.data.shards import Shard
from simformer.errors import UserError
from simformer.inference import ImageFile, image_scores, predict
from simformer.pseudo_labels import mix, pseudo_labels

CPU = torch.device("cpu")
SIZES = InferenceSettings(short_edge=48, max_long_edge=96)


@pytest.fixture(scope="module")
def trained(scenes, masked, new_config):
    """An untrained teacher whose class head prefers the novel classes."""
    training = build_training(new_config(), scenes.data, masked, None, CPU)
    torch.nn.init.normal_(training.model.class_head.weight, std=0.5)
    training.model.class_head.bias.data[list(masked.novel)] += 5.0
    return TrainedModel(training.model.eval(), None, new_config(), masked.identity)


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.uint8, (3, 4), elements=st.integers(0, 6)),
    arrays(np.uint8, (3, 4), elements=st.sampled_from([0, 1, 2, 255])),
    st.sets(st.integers(3, 6)),
)
def test_mixing_pixel_by_pixel(predicted, masked_map, novel):
    mixed = mix(predicted, masked_map, sorted(novel))
    for p, m, found in zip(predicted.flat, masked_map.flat, mixed.flat, strict=True):
        assert found == (m if m != 255 else p if p in novel else 255)
    assert (mixed.dtype, mixed.shape) == (np.uint8, (3, 4))


def test_the_mixed_set_holds_base_masks_and_present_novel_predictions(trained, scenes, masked, tmp_path):
    mixed = pseudo_labels(trained, scenes.data, masked, SIZES, CPU, tmp_path)
    images = [ImageFile.of(scenes.data, i) for i in masked.images]
    predictions = dict(predict(trained.model, images, SIZES, CPU))
    assert mixed == LabelSet.load(tmp_path / "labels.json")
    assert (mixed.novel, mixed.classes) == ((), masked.classes)
    labelled = 0
    for position, (before, after) in enumerate(zip(masked.images, mixed.images, strict=True)):
        expected = mix(predictions[position], read_label(masked.label_path(before)), masked.novel_labels(before))
        found = read_label(mixed.label_path(after))
        assert np.array_equal(found, expected)
        assert set(after.classes) == set(np.unique(found)) - {255}
        assert after.name == before.name
        labelled += np.isin(found, masked.novel).sum()
    assert labelled


def by_rule(scores, region, novel, choice, unknown=()):
    """Label a region by any rule; the released one takes the best class alone."""
    if choice.rule == "released":
        return mix(scores.argmax(dim=0).to(torch.uint8).numpy(), region, novel)
    return mix_scores(scores[novel], novel, torch.from_numpy(region), choice.gamma, unknown).numpy()


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.float32, (7, 2, 3), elements=st.floats(0, 1, width=16)),
    arrays(np.uint8, (2, 3), elements=st.sampled_from([0, 1, 2, 255])),
    st.sets(st.integers(3, 6)),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_each_rule_pixel_by_pixel(scores, masked_map, novel, gamma):
    novel = sorted(novel)
    region = [(y, x) for y in range(2) for x in range(3) if masked_map[y, x] == 255]
    expected = {name: masked_map.copy() for name in ("released", "common")}
    highest = {c: max([*(scores[c, y, x] for y, x in region), np.finfo(np.float32).tiny]) for c in novel}
    for y, x in region:
        s = scores[:, y, x]
        best = max(range(7), key=lambda c: s[c])
        expected["released"][y, x] = best if best in novel else 255
        if novel:
            best = max(novel, key=lambda c: s[c] / highest[c])
            expected["common"][y, x] = best if s[best] / highest[best] >= np.float32(gamma) else 255
    for rule, wanted in expected.items():
        choice = PseudoSettings(rule="common", gamma=gamma) if rule == "common" else PseudoSettings()
        found = by_rule(torch.from_numpy(scores), masked_map, novel, choice)
        assert (found.dtype, found.tolist()) == (np.uint8, wanted.tolist()), rule


def test_what_an_unknown_class_may_own_is_left_unlabelled():
    scores = torch.tensor([[0.1, 0.1, 0.1], [0.5, 0.3, 0.2], [0.4, 0.6, 0.1]])[:, None]
    region = np.full((1, 3), 255, np.uint8)
    known = {"released": [1, 255, 1], "common": [1, 1, 1]}
    careful = {"released": [1, 255, 1], "common": [1, 1, 255]}
    for rule in known:
        choice = PseudoSettings(rule=rule)
        assert by_rule(scores, region, [1], choice).tolist() == [known[rule]]
        assert by_rule(scores, region, [1], choice, (2,)).tolist() == [careful[rule]]
        assert 2 not in by_rule(scores, region, [1], choice, (2,))
        louder = scores * torch.tensor([1.0, 1.0, 2.0])[:, None, None]
        if rule == "common":
            assert by_rule(louder, region, [1], choice, (2,)).tolist() == [careful[rule]]


@pytest.mark.parametrize("choice", [{}, {"rule": "common", "gamma": 0.3}, {"rule": "common"}])
def test_the_name_of_a_folder_tells_the_rule(choice):
    settings_ = PseudoSettings(**choice)
    assert PseudoSettings.of_suffix(settings_.suffix) == settings_


def test_a_set_by_another_rule_holds_its_labels(trained, scenes, masked, tmp_path):
    few = replace(masked, images=masked.images[:4])
    images = [ImageFile.of(scenes.data, i) for i in few.images]
    everything = list(range(len(few.classes)))
    scores = dict(image_scores(trained.model, images, lambda position: everything, SIZES, CPU))
    choice = PseudoSettings(rule="common")
    mixed = pseudo_labels(trained, scenes.data, few, SIZES, CPU, tmp_path / "mixed", choice=choice)
    for position, (before, after) in enumerate(zip(few.images, mixed.images, strict=True)):
        known = read_label(few.label_path(before)), sorted(few.novel_labels(before))
        assert np.array_equal(read_label(mixed.label_path(after)), by_rule(scores[position], *known, choice))


def test_joined_shards_are_the_whole_set_byte_for_byte(trained, scenes, masked, tmp_path):
    pseudo_labels(trained, scenes.data, masked, SIZES, CPU, tmp_path / "whole")
    shards = [
        pseudo_labels(trained, scenes.data, masked, SIZES, CPU, tmp_path / str(shard), shard)
        for shard in (Shard(2, 3), Shard(1, 3), Shard(3, 3))
    ]
    joined = join_labels(masked, shards, tmp_path / "joined")
    assert joined == LabelSet.load(tmp_path / "joined" / "labels.json")
    files = sorted(p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*.*"))
    assert files == sorted(p.relative_to(tmp_path / "joined") for p in (tmp_path / "joined").rglob("*.*"))
    assert len(files) == len(masked.images) + 1
    for file in files:
        assert (tmp_path / "joined" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_scales_and_flips_are_averaged_on_request(trained, scenes, masked, tmp_path):
    few = replace(masked, images=masked.images[:6])
    sizes = SIZES.model_copy(update={"pseudo_short_edges": (40, 56), "pseudo_max_long_edge": 96})
    mixed = pseudo_labels(trained, scenes.data, few, sizes, CPU, tmp_path)
    images = [ImageFile.of(scenes.data, i) for i in few.images]
    expected = dict(predict(trained.model, images, sizes, CPU, average_short_edges=(40, 56)))
    for position, image in enumerate(few.images):
        wanted = mix(expected[position], read_label(few.label_path(image)), few.novel_labels(image))
        assert np.array_equal(read_label(mixed.label_path(mixed.images[position])), wanted)


def test_the_released_rule_needs_no_scores_of_all_classes(trained, scenes, masked, tmp_path, monkeypatch):
    """A photograph of 12 megapixels with 171 classes has 8 GB of them."""
    monkeypatch.setattr("simformer.pseudo_labels.image_scores", None)
    few = replace(masked, images=masked.images[:2])
    assert len(pseudo_labels(trained, scenes.data, few, SIZES, CPU, tmp_path).images) == 2


def test_a_teacher_of_other_classes_is_refused_before_any_work(trained, scenes, masked, tmp_path):
    other = replace(trained, identity=replace(trained.identity, classes=("a", "b")))
    with pytest.raises(UserError, match="has other classes than"):
        pseudo_labels(other, scenes.data, masked, SIZES, CPU, tmp_path / "out")
    assert not (tmp_path / "out").exists()
