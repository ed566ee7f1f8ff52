"""The classifier: maps and logits, loss, and a training that can be stopped anywhere."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from simformer.baselines.classifier import Classifier, load_classifier, multilabel_loss
from simformer.baselines.settings import AffinitySettings, ClassifierSettings
from simformer.baselines.training.crops import Crops, network_input, placed_crop
from simformer.baselines.training.network_file import read_network
from simformer.baselines.training.sgd import rate_factor, total_steps
from simformer.errors import Interrupted, UserError
from simformer.training.log import StepMeans
from tests.unit.baselines.stages import CPU, spec, train


def test_pooling_maps_and_classifying_pooled_features_is_the_same():
    torch.manual_seed(0)
    network = Classifier("tiny", 16, 5)
    images = torch.rand(2, 3, 64, 48)
    pooled = network.backbone(images)[-1].mean(dim=(2, 3))
    expected = F.linear(pooled, network.head.weight[:, :, 0, 0])
    assert torch.allclose(network(images).mean(dim=(2, 3)), expected, atol=1e-5)
    assert network.head.bias is None


def test_loss_by_hand():
    logits, present = torch.tensor([[0.3, -1.2], [2.0, 0.0]]), torch.tensor([[True, False], [True, True]])
    probability = torch.sigmoid(logits)
    terms = torch.where(present, -torch.log(probability), -torch.log(1 - probability))
    assert multilabel_loss(logits, present, 2).item() == pytest.approx(terms.mean().item())
    assert multilabel_loss(logits, present, 20).item() == pytest.approx(terms.mean().item() / 10)


def test_an_unknown_label_has_no_part_in_the_loss_and_no_gradient():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, generator=generator).requires_grad_()
    present = torch.rand(3, 4, generator=generator) < 0.5
    unknown = torch.zeros(3, 4, dtype=torch.bool)
    torch.testing.assert_close(multilabel_loss(logits, present, 2, unknown), multilabel_loss(logits, present, 2))
    unknown[0, 1] = unknown[2, 3] = True
    loss = multilabel_loss(logits, present, 4, unknown)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert ((gradient == 0) == unknown).all()
    entropy = F.binary_cross_entropy_with_logits(logits, present.float(), reduction="none")
    torch.testing.assert_close(loss, entropy[~unknown].mean())
    assert torch.equal(multilabel_loss(logits, present ^ unknown, 4, unknown), loss), "whichever way it is flipped"
    nothing = torch.ones_like(unknown)
    assert multilabel_loss(logits, present, 4, nothing) == 0


def test_schedule_is_a_polynomial_after_a_linear_warm_up():
    settings = ClassifierSettings(warmup_steps=4)
    assert [rate_factor(t, 100, settings) for t in (0, 1)] == [0.25, pytest.approx(0.5 * 0.99**0.9)]
    assert rate_factor(50, 100, settings) == pytest.approx(0.5**0.9)
    assert rate_factor(0, 100, ClassifierSettings()) == 1
    assert total_steps(ClassifierSettings(epochs=2, batch_images=16), 100) == 13


def test_training_lowers_the_loss_and_writes_a_file_that_loads(scenes, image_set, tmp_path):
    outputs = train(tmp_path, spec("classifier", epochs=15, lr=0.03), scenes.data, image_set)
    rows = list(csv.DictReader(outputs.log.open()))
    assert float(rows[-1]["loss"]) < 0.8 * float(rows[0]["loss"])
    assert float(rows[0]["lr"]) > float(rows[-1]["lr"]) > 0
    network, stored = load_classifier(outputs.model, CPU)
    assert stored.identity == image_set.identity and len(stored.hash) == 16
    assert not network.training
    facts = json.loads(outputs.facts.read_text())
    assert facts["steps"] == 60 and facts["parameters"] > 1000
    assert not (tmp_path / "state").exists()


def test_stopped_and_continued_equals_undisturbed(scenes, image_set, tmp_path):
    whole = train(tmp_path / "whole", spec("classifier", epochs=2), scenes.data, image_set)
    parts = train(tmp_path / "parts", spec("classifier", epochs=2), scenes.data, image_set, stop_after=3)
    assert not parts.model.exists()
    train(tmp_path / "parts", spec("classifier", epochs=2), scenes.data, image_set)
    assert parts.model.read_bytes() == whole.model.read_bytes()
    logs = [[line.rpartition(",")[0] for line in o.log.read_text().splitlines()] for o in (parts, whole)]
    assert logs[0] == logs[1] and len(logs[0]) == 5
    seconds = [float(row["seconds"]) for row in csv.DictReader(parts.log.open())]
    assert seconds == sorted(seconds), "the time before the stop counts"


def test_a_stop_signal_saves_the_state_of_the_last_step(scenes, image_set, tmp_path, monkeypatch):
    whole = train(tmp_path / "whole", spec("classifier"), scenes.data, image_set)

    def add_and_stop(means, row):
        means.rows.append(row)
        if len(means.rows) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(Interrupted, match="after step 2; run the same command"):
        patch.setattr(StepMeans, "add", add_and_stop)
        train(tmp_path / "stopped", spec("classifier"), scenes.data, image_set, log_every=10)
    assert torch.load(tmp_path / "stopped/state/state.pt", weights_only=True)["step"] == 2
    outputs = train(tmp_path / "stopped", spec("classifier"), scenes.data, image_set)
    assert outputs.model.read_bytes() == whole.model.read_bytes()


def test_a_state_of_other_settings_is_refused(scenes, image_set, tmp_path):
    train(tmp_path, spec("classifier"), scenes.data, image_set, stop_after=1)
    with pytest.raises(UserError, match="belongs to a training with other settings"):
        train(tmp_path, spec("classifier", lr=0.5), scenes.data, image_set)


def test_a_training_that_diverges_names_its_images_and_keeps_the_state(scenes, image_set, tmp_path):
    with pytest.raises(UserError, match=r"classifier, step \d+: not finite .*Images of the batch: .*baselines.classif"):
        train(tmp_path, spec("classifier", lr=1e30, clip_norm=1e30, epochs=3), scenes.data, image_set)


def test_a_network_of_another_kind_or_no_network_is_refused(stages, tmp_path):
    with pytest.raises(UserError, match="a network of kind 'classifier'; expected 'psa'"):
        read_network(stages.classifier.model, "psa", AffinitySettings)
    (tmp_path / "x.safetensors").write_bytes(b"123")
    with pytest.raises(UserError, match="not a network of a baseline"):
        read_network(tmp_path / "x.safetensors", "psa", AffinitySettings)
    with pytest.raises(UserError, match="no such network"):
        read_network(tmp_path / "y.safetensors", "psa", AffinitySettings)


def test_frozen_stages_keep_their_weights(scenes, image_set, tmp_path):
    torch.manual_seed(0)
    start = Classifier("tiny", 16, len(image_set.classes)).state_dict()
    outputs = train(tmp_path, spec("classifier", frozen_stages=2), scenes.data, image_set)
    after = load_classifier(outputs.model, CPU)[0].state_dict()
    changed = {name.split(".")[1] for name in start if not torch.equal(start[name], after[name])}
    assert changed == {"block3", "block4", "weight"}


def test_items_depend_on_seed_and_position_alone_and_cover_every_image_each_epoch(scenes, image_set):
    settings = ClassifierSettings(crop=48, long_edges=(40, 60))
    crops, again = (Crops(scenes.data, image_set, settings, 0) for _ in range(2))
    names = [crops[n].name for n in range(2 * len(image_set.images))]
    assert sorted(names[:24]) == sorted(names[24:]) == sorted(image.name for image in image_set.images)
    assert torch.equal(crops[7].crop.image, again[7].crop.image)
    assert not torch.equal(crops[7].crop.image, Crops(scenes.data, image_set, settings, 1)[7].crop.image)
    image = next(i for i in image_set.images if i.name == names[5])
    assert crops[5].present.nonzero().flatten().tolist() == list(image.classes)


def test_padding_is_zero_for_the_network_and_ignored_in_the_label_map(scenes, image_set):
    settings = ClassifierSettings(crop=64, long_edges=(40, 44))
    samples = [Crops(scenes.data, image_set, settings, 0)[n] for n in range(4)]
    images = network_input([sample.crop for sample in samples], CPU)
    for sample, image in zip(samples, images, strict=True):
        padding = sample.crop.padding
        assert 0.5 < padding.float().mean() < 0.7
        assert (image[:, padding] == 0).all() and image[:, ~padding].abs().mean() > 0.1
        assert (sample.crop.label_map == 255).all()
    assert len({tuple((~s.crop.padding).nonzero()[0].tolist()) for s in samples}) > 1, "anywhere in the crop"


def test_image_and_label_map_stay_aligned(scenes, masked):
    """A label map equal to one colour channel follows it through scale, flip and crop."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, :40], image[30:, 60:] = 200, 100
    settings = ClassifierSettings(crop=48, long_edges=None, scales=(0.5, 1.5))
    for seed in range(20):
        crop = placed_crop(image, image[..., 0].copy(), settings, np.random.default_rng(seed))[0]
        same = (crop.image[0].int() - crop.label_map.int()).abs() < 60
        assert same[~crop.padding].float().mean() > 0.9
        assert (crop.label_map[crop.padding] == 255).all()
