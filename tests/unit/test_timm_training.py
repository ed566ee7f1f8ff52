"""Whole trainings with networks of timm: they learn, resume bit for bit, and predict images of any size."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from simformer.build import load_model
from simformer.config.settings import InferenceSettings
from simformer.inference import ImageFile, predict
from simformer.models.weights import fetch_backbone_weights
from simformer.train import train
from tests.conftest import job_in
from tests.tiny_timm import timm

VIT, SWIN, CONVNEXT = "timm/tiny_vit_patch14", "timm/tiny_swin", "timm/test_convnext"


@pytest.mark.parametrize("name", [VIT, SWIN, CONVNEXT])
def test_a_resumed_training_equals_an_undisturbed_one(name, masked, new_config, run_training, tmp_path):
    config = new_config({"model": {"backbone": name, "dropout": 0.1}, "optim": {"steps": 2}})
    whole = run_training(config, masked, tmp_path / "whole", log_every=1)
    run_training(config, masked, tmp_path / "halves", log_every=1, stop_after=1)
    torch.rand(3)
    halves = run_training(config, masked, tmp_path / "halves", log_every=1)
    assert whole.model.read_bytes() == halves.model.read_bytes()


def test_a_frozen_vit_keeps_its_weights_while_the_rest_learns(masked, scenes, new_config, tmp_path):
    torch.save(timm.create_model("tiny_vit_patch14").state_dict(), tmp_path / "vit.pth")
    fetch_backbone_weights(VIT, str(tmp_path / "vit.pth"), tmp_path / "initial.safetensors")
    model = {"backbone": VIT, "weights": str(tmp_path / "vit.pth"), "frozen_stages": 4}
    config = new_config({"model": model, "optim": {"steps": 2}})
    job = job_in(tmp_path, scenes.data, masked)
    train(config, replace(job, weights=tmp_path / "initial.safetensors"))
    trained, initial = load_file(job.outputs.model), load_file(tmp_path / "initial.safetensors")
    assert all(torch.equal(trained[f"model.backbone.{key}"], value) for key, value in initial.items())
    assert json.loads(job.outputs.facts.read_text())["parameters"] < sum(t.numel() for t in trained.values())

    again = load_model(job.outputs.model, torch.device("cpu"))
    image = scenes.index.test[0]
    files = [ImageFile.of(scenes.data, image)]
    for short_edge in (48, 61):
        settings = InferenceSettings(short_edge=short_edge, max_long_edge=96)
        ((_, found),) = predict(again.model, files, settings, torch.device("cpu"))
        assert found.shape == (image.height, image.width)
