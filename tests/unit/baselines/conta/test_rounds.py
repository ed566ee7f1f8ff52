"""Rounds: their networks and their trainings, what a stop leaves, and what is refused."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from simformer.baselines.conta.context_attention import ContextAttention
from simformer.baselines.conta.deeplab import DeepLab, multiscale_logits, segmentation_loss
from simformer.baselines.conta.round_classifier import ContextResponse
from simformer.baselines.conta.rounds import ROUNDS, Round, networks_behind
from simformer.baselines.conta.segmentation import build_optimizer, predicted_masks, train_segmentation
from simformer.baselines.conta.settings import ContextClassifierSettings
from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.training.network_file import read_network
from simformer.errors import UserError
from tests.unit.baselines.conta.first_round import CLASSIFIER, SEGMENTATION, SIDE, train, train_round, with_context
from tests.unit.baselines.stages import CAM, CPU


def test_rounds_follow_each_other():
    assert Round("conta", 1).previous == Round("conta_shuffled", 1).previous == "classifier"
    assert ROUNDS["conta_shuffled3"].previous == "conta_shuffled2" and "conta0" not in ROUNDS
    assert networks_behind("classifier") == [("classifier",)]
    assert networks_behind("conta2") == [
        ("classifier",), ("classifier", "irn"), ("classifier", "segmentation"),
        ("conta1",), ("conta1", "irn"), ("conta1", "segmentation"), ("conta2",),
    ]  # fmt: skip
    assert networks_behind("conta_zero2") == [("conta_zero2",)]
    assert networks_behind("seam_no_er") == [("warm",), ("seam_no_er",)], "it starts from the warm network"
    assert networks_behind("rib") == [("classifier",)], "it has no network of its own"
    seeds = {ROUNDS[name].seed(seed) for name in ("conta1", "conta2") for seed in (0, 1)}
    assert len(seeds) == 4 and ROUNDS["conta1"].seed(0) == ROUNDS["conta_zero1"].seed(0)


def test_cells_take_the_label_at_their_centre_and_unlabelled_ones_count_nothing():
    logits = [torch.randn(1, 3, 2, 2), torch.randn(1, 3, 2, 2)]
    label_maps = torch.full((1, 8, 8), 255, dtype=torch.uint8)
    assert segmentation_loss(logits, label_maps) == 0
    label_maps[0, 2, 6], label_maps[0, 6, 2], label_maps[0, 0, 0] = 1, 2, 0
    expected = sum(-torch.log_softmax(view[0, :, y, x], 0)[c] for view in logits for y, x, c in ((0, 1, 1), (1, 0, 2)))
    assert torch.allclose(segmentation_loss(logits, label_maps), expected / 2)


def test_several_views_end_with_their_maximum():
    torch.manual_seed(0)
    network = DeepLab("tiny", 3, (1, 2)).eval()
    images = torch.randn(1, 3, 48, 48)
    full, half, highest = multiscale_logits(network, images, (1.0, 0.5))
    assert full.shape == half.shape == highest.shape == (1, 3, 6, 6)
    assert torch.equal(full, network(images)) and torch.equal(highest, torch.maximum(full, half))
    assert len(multiscale_logits(network, images, (1.0,))) == 1


def test_rates_of_the_segmentation_network():
    network = DeepLab("tiny", 3, (1, 2))
    groups = build_optimizer(network, BaselineSettings().segmentation).param_groups
    assert [g["base_lr"] for g in groups] == [pytest.approx(lr) for lr in (2.5e-4, 2.5e-3, 5e-3)]
    assert [len(g["params"]) for g in groups[1:]] == [2, 2] and groups[0]["momentum"] == 0.9


def test_predictions_are_of_the_images_classes_and_fill_every_cell():
    logits = torch.zeros(4, 2, 2)
    logits[3] = 9  # the strongest class is not among the image's
    logits[0, :, 0] = logits[2, :, 1] = 1
    found = predicted_masks(logits, (0, 1, 2), 20, 30, 5)
    assert found.classes == (0, 2) and found.scores.shape == (2, 5, 5)
    assert torch.allclose(found.scores.sum(dim=0), torch.ones(5, 5))
    assert found.scores[0, :, 0].min() == 1 and found.scores[1, :, -1].min() == 1
    assert predicted_masks(logits, (), 20, 30, 5).scores.shape == (0, 5, 5)


def test_what_an_unknown_class_wins_is_in_no_predicted_mask():
    logits = torch.zeros(4, 2, 2)
    logits[0, :, 0] = logits[3, :, 1] = 1
    found = predicted_masks(logits, (0, 1), 20, 30, 5, unknown=(3,))
    assert found.classes == (0,)
    assert found.scores[0, :, 0].min() == 1 and found.scores[0, :, -1].max() == 0
    logits[3] = 9
    nothing = predicted_masks(logits, (0, 1), 20, 30, 5, unknown=(3,))
    assert nothing.classes == () and nothing.scores.shape == (0, 5, 5)


def test_segmentation_learns_its_masks(scenes, round1, tmp_path):
    longer = SEGMENTATION.settings.model_copy(update={"epochs": 12, "lr": 0.1})
    spec = SEGMENTATION.model_copy(update={"settings": longer})
    outputs = train(train_segmentation, tmp_path, spec, scenes.data, round1.masks)
    losses = [float(row.split(",")[2]) for row in outputs.log.read_text().splitlines()[1:]]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_predicted_masks_are_on_disk_for_every_image(round1, image_set):
    for image in image_set.images:
        maps = round1.predicted.read(image.name)
        assert set(maps.classes) <= set(image.classes) and maps.scores.shape[1:] == (SIDE, SIDE)
        assert torch.allclose(maps.scores.float().sum(dim=0), torch.ones(SIDE, SIDE), atol=2e-3)


@pytest.mark.parametrize("kind", ["own", "zero"])
def test_stopped_and_continued_equals_undisturbed(scenes, image_set, round1, tmp_path, kind):
    spec, before = with_context(kind), round1 if kind == "own" else None
    whole = train_round(tmp_path / "whole", spec, scenes.data, image_set, before)
    parts = train_round(tmp_path / "parts", spec, scenes.data, image_set, before, stop_after=2)
    assert not parts.model.exists()
    train_round(tmp_path / "parts", spec, scenes.data, image_set, before)
    assert parts.model.read_bytes() == whole.model.read_bytes()


@pytest.mark.parametrize("part", ["masks", "known"])
def test_a_stopped_training_refuses_another_confounder_and_leaves_it_as_it_is(
    scenes, image_set, round1, tmp_path, part
):
    old = round1.confounder
    fewer = old.known.clone()
    fewer[old.known.nonzero()[0]] = False
    other = replace(old, **{part: {"masks": old.masks * 0.5, "known": fewer}[part]})
    given = other.masks.clone(), other.known.clone()
    train_round(tmp_path, CLASSIFIER, scenes.data, image_set, round1, stop_after=2)
    before = SimpleNamespace(predicted=round1.predicted, confounder=other)
    with pytest.raises(UserError, match=f"other average masks .hash {old.hash}, now {other.hash}"):
        train_round(tmp_path, CLASSIFIER, scenes.data, image_set, before)
    assert torch.equal(other.masks, given[0]) and torch.equal(other.known, given[1])


def test_a_classifier_has_a_confounder_of_its_own(round1):
    masks = round1.confounder.masks.clone()
    attention = ContextAttention(round1.confounder)
    state = attention.state_dict()
    attention.load_state_dict(state | {"confounder": state["confounder"] + 1, "known": ~state["known"]})
    assert torch.equal(round1.confounder.masks, masks)
    assert not torch.equal(attention.known, round1.confounder.known)


def test_segmentation_stopped_and_continued_equals_undisturbed(scenes, round1, tmp_path):
    for options in ({"stop_after": 2}, {}):
        parts = train(train_segmentation, tmp_path, SEGMENTATION, scenes.data, round1.masks, **options)
    assert parts.model.read_bytes() == round1.segmentation.read_bytes()


def test_every_part_of_the_context_learns_and_only_where_there_is_one(scenes, image_set, round1, tmp_path):
    own = read_network(round1.model, "conta", ContextClassifierSettings).tensors
    zero = train_round(tmp_path, with_context("zero"), scenes.data, image_set, None).model
    without = read_network(zero, "conta", ContextClassifierSettings).tensors
    slices = [name for name in own if name.endswith(".context.weight")]
    assert len(slices) == 2
    assert all(own[name].abs().sum() > 0 and without[name].abs().sum() == 0 for name in slices)
    assert "trunk.attention.first" in own and not any("attention" in name for name in without)
    assert 0.015 < own["trunk.attention.first"].std() < 0.03


def test_masks_of_the_round_before_are_asked_for_or_refused(scenes, image_set, round1, tmp_path):
    with pytest.raises(UserError, match="context 'own': masks of the round before are needed; give --predicted"):
        train_round(tmp_path, CLASSIFIER, scenes.data, image_set, None)
    with pytest.raises(UserError, match="context 'zero': masks of the round before have no use"):
        train_round(tmp_path, with_context("zero"), scenes.data, image_set, round1)
    with pytest.raises(UserError, match="are needed"):
        ContextResponse(round1.model, None, image_set, CPU)


def test_maps_do_not_depend_on_batches_and_a_blind_network_has_others(scenes, image_set, round1):
    images = list(image_set.images[:5])
    alone = dict(round1.response.maps(scenes.data, images, CAM.model_copy(update={"batch_images": 1})))
    for image, maps in round1.response.maps(scenes.data, images, CAM):
        assert torch.allclose(maps.scores, alone[image].scores, atol=1e-4)
        assert torch.allclose(maps.scores, round1.maps.read(image.name).scores.float(), atol=2e-3)
    blind = dict(round1.response.maps(scenes.data, images, CAM, blind=True))
    assert any(not torch.allclose(blind[i].scores, alone[i].scores, atol=1e-4) for i in images)


def test_other_masks_make_other_maps_on_disk(round1):
    assert round1.response.identity.endswith(round1.predicted.hash)
    assert json.loads((round1.maps.root / "maps.json").read_text())["identity"] == round1.maps.identity
