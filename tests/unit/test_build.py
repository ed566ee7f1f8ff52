"""From a resolved configuration to the parts of a training, and the model file."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from simformer.build import build_training, load_model, save_model
from simformer.config.settings import InferenceSettings
from simformer.data.palette import class_colours
from simformer.data.transforms import PIXEL_MEAN
from simformer.errors import UserError
from simformer.models.backbone import build_backbone
from tests.conftest import SINGLE

CPU = torch.device("cpu")


def state(training):
    return [t for module in training.modules for t in module.state_dict().values()]


def test_the_seed_decides_the_weights(scenes, masked, new_config):
    torch.manual_seed(99)
    first = build_training(new_config(seed=1), scenes.data, masked, None, CPU)
    again = build_training(new_config(seed=1), scenes.data, masked, None, CPU)
    other = build_training(new_config(seed=2), scenes.data, masked, None, CPU)
    assert all(map(torch.equal, state(first), state(again)))
    assert not all(map(torch.equal, state(first), state(other)))
    assert first.groups.image_ids(0) != other.groups.image_ids(0)


def test_the_full_method_has_simnet_pairs_and_one_optimizer_for_all(scenes, masked, new_config):
    training = build_training(new_config(), scenes.data, masked, None, CPU)
    assert training.modules == [training.model, training.simnet]
    assert training.groups.chooser.mode == "paper"
    assert training.loss.novel_ids.tolist() == list(masked.novel)
    optimised = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
    assert optimised == {id(p) for module in training.modules for p in module.parameters()}
    assert training.model.class_head.out_features == len(masked.classes) + 1


def test_a_plain_maskformer_has_neither(scenes, masked, new_config):
    training = build_training(new_config(SINGLE), scenes.data, masked, None, CPU)
    assert (training.modules, training.simnet, training.groups.chooser) == ([training.model], None, None)


def test_weights_are_loaded_when_named_and_only_then(scenes, masked, new_config, tmp_path):
    torch.manual_seed(5)
    backbone = build_backbone("tiny").state_dict()
    path = tmp_path / "tiny.safetensors"
    save_file(backbone, path)
    named = new_config({"model": {"weights": str(path)}})
    training = build_training(named, scenes.data, masked, path, CPU)
    loaded = training.model.backbone.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in backbone.items())
    with pytest.raises(UserError, match="model.weights is '.*', but no weight file was given with --weights"):
        build_training(named, scenes.data, masked, None, CPU)
    with pytest.raises(UserError, match="model.weights is 'none', but .*tiny.safetensors was given"):
        build_training(new_config(), scenes.data, masked, path, CPU)


@pytest.fixture
def saved(scenes, masked, new_config, tmp_path):
    training = build_training(new_config(), scenes.data, masked, None, CPU)
    save_model(tmp_path / "model.safetensors", training, new_config(), masked)
    return training, tmp_path / "model.safetensors"


def test_a_model_survives_its_file(saved, masked, new_config):
    training, path = saved
    trained = load_model(path, CPU)
    assert (trained.config, trained.classes) == (new_config(), masked.classes)
    assert not any(module.training for module in trained.model.modules())
    assert all(map(torch.equal, training.model.state_dict().values(), trained.model.state_dict().values()))
    image = torch.rand(1, 3, 64, 32)
    training.model.eval()
    assert torch.equal(trained.model(image).mask_logits, training.model(image).mask_logits)


def test_a_model_file_says_how_to_use_it(saved, masked, new_config):
    training, path = saved
    plain = load_model(path, CPU)
    assert plain.inference is None, "the training did not know it"
    assert np.array_equal(plain.colours, class_colours(len(masked.classes))[: len(masked.classes)])
    save_model(path, training, new_config(), masked, InferenceSettings(short_edge=48, max_long_edge=90, batch_images=3))
    assert load_model(path, CPU).inference == InferenceSettings(short_edge=48, max_long_edge=90)
    with safe_open(path, framework="pt") as stream:
        facts = json.loads(stream.metadata()["simformer"])
    assert facts["inference"] == {"short_edge": 48, "max_long_edge": 90}
    assert facts["pixels"]["mean"] == list(PIXEL_MEAN) and len(facts["colours"]) == len(facts["classes"])
    assert facts["hidden"] == list(masked.novel) and facts["config"]["optim.steps"] == 4


def test_equal_models_have_equal_bytes(saved, masked, new_config, tmp_path):
    training, path = saved
    digests = {hashlib.sha256(path.read_bytes()).hexdigest()}
    for _ in range(8):
        save_model(tmp_path / "again", training, new_config(), masked)
        digests.add(hashlib.sha256((tmp_path / "again").read_bytes()).hexdigest())
    assert len(digests) == 1
    save_model(tmp_path / "again", training, new_config(), replace(masked, classes=masked.classes[::-1]))
    assert (tmp_path / "again").read_bytes() != path.read_bytes()


def test_the_model_file_holds_simnet_for_analysis(saved):
    training, path = saved
    with safe_open(path, framework="pt") as stream:
        names = set(stream.keys())
    assert {f"simnet.{name}" for name in training.simnet.state_dict()} <= names


def test_a_missing_model_says_how_to_make_it(tmp_path):
    with pytest.raises(UserError, match=r"no such model; check the path; no study in config/"):
        load_model(tmp_path / "none/model.safetensors", CPU)


def test_a_path_that_no_training_writes_is_no_target_of_snakemake(tmp_path):
    with pytest.raises(UserError, match=r"mine\.safetensors: no such file; expected the model\.safetensors of a tr"):
        load_model(tmp_path / "mine.safetensors", CPU)
    with pytest.raises(UserError, match=r": a folder; expected the model\.safetensors of a training$"):
        load_model(tmp_path, CPU)


def test_a_cut_off_model_may_have_been_copied_badly(tmp_path):
    part = tmp_path / "model.safetensors"
    part.write_bytes(b"\x10\x00")
    with pytest.raises(UserError, match="copy it again, or train it again"):
        load_model(part, CPU)


def test_another_file_is_not_taken_for_a_model(tmp_path):
    (tmp_path / "text").write_text("nonsense")
    save_file({"x": torch.zeros(2)}, tmp_path / "weights")
    save_file({"x": torch.zeros(2)}, tmp_path / "other", {"simformer": "not JSON"})
    for name in ("text", "weights", "other"):
        with pytest.raises(UserError, match="not a model written by `simformer train`"):
            load_model(tmp_path / name, CPU)


@pytest.mark.parametrize(("method", "fits"), [("weak", "masked"), ("crop", "crop"), ("full", "full")])
def test_a_method_trains_on_its_own_kind_of_labels_only(scenes, masked, new_config, method, fits):
    sets = {
        "masked": masked,
        "crop": replace(masked, kind="crop", crop_scope=True),
        "full": replace(masked, kind="full", novel=(), hidden=()),
    }
    config = new_config(SINGLE, labels=method)
    for name, labels in sets.items():
        if name == fits:
            build_training(config, scenes.data, labels, None, CPU)
        else:
            with pytest.raises(
                UserError, match=f"trains on '{method}' labels, but .* belong to another split or method"
            ):
                build_training(config, scenes.data, labels, None, CPU)
