"""Evaluation on the test images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from simformer.build import TrainedModel, build_training
from simformer.data.files import read_label
from simformer.errors import UserError
from simformer.evaluate import evaluate, write_metrics
from simformer.inference import ImageFile, predict
from simformer.metrics import scores
from simformer.settings import InferenceSettings

CPU = torch.device("cpu")
SIZES = InferenceSettings(short_edge=48, max_long_edge=96, batch_images=3)


@pytest.fixture(scope="module")
def trained(scenes, masked, new_config):
    training = build_training(new_config(), scenes.data, masked, None, CPU)
    return TrainedModel(training.model.eval(), None, new_config(), masked.classes)


def test_every_test_pixel_is_counted_once(trained, scenes, tmp_path):
    total = evaluate(trained, scenes.data, scenes.index, SIZES, CPU, tmp_path / "confusion.npz")
    images = [ImageFile(scenes.data / r.image, r.height, r.width) for r in scenes.index.test]
    expected = np.zeros_like(total)
    for position, predicted in predict(trained.model, images, SIZES, CPU):
        truth = read_label(scenes.data / scenes.index.test[position].label).astype(int)
        np.add.at(expected, (predicted, np.where(truth == 255, len(trained.classes), truth)), 1)
    assert np.array_equal(total, expected)
    assert total.sum() == 48 * 48 * len(scenes.index.test)
    with np.load(tmp_path / "confusion.npz") as content:
        assert np.array_equal(content["confusion"], total)
        assert tuple(content["classes"]) == scenes.index.classes


def test_the_metrics_file_holds_the_scores_of_the_split(trained, scenes, split, tmp_path):
    total = evaluate(trained, scenes.data, scenes.index, SIZES, CPU, tmp_path / "confusion.npz")
    write_metrics(tmp_path / "confusion.npz", split, tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text()) == scores(total, split.classes, split.novel)


def test_a_model_of_other_classes_is_refused_before_any_work(trained, scenes, tmp_path):
    other = replace(trained, classes=("cat", "dog"))
    with pytest.raises(UserError, match="16 classes are not the 2 classes that the model was trained on"):
        evaluate(other, scenes.data, scenes.index, SIZES, CPU, tmp_path / "confusion.npz")
    renamed = replace(trained, classes=(*trained.classes[:-1], "other"))
    with pytest.raises(UserError, match="train it on this dataset"):
        evaluate(renamed, scenes.data, scenes.index, SIZES, CPU, tmp_path / "confusion.npz")
    assert not (tmp_path / "confusion.npz").exists()
