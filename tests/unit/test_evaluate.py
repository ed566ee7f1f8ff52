"""Evaluation on the test images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from simformer.build import TrainedModel, build_training
from simformer.config.settings import InferenceSettings
from simformer.data.images import read_label
from simformer.data.shards import Shard
from simformer.errors import UserError
from simformer.evaluate import evaluate
from simformer.inference import ImageFile, predict
from simformer.metrics import Evaluation, scores, write_metrics

CPU = torch.device("cpu")
SIZES = InferenceSettings(short_edge=48, max_long_edge=96, batch_images=3)


@pytest.fixture(scope="module")
def trained(scenes, masked, new_config):
    training = build_training(new_config(), scenes.data, masked, None, CPU)
    return TrainedModel(training.model.eval(), None, new_config(), masked.identity)


def test_every_test_pixel_is_counted_once(trained, scenes, tmp_path):
    result = evaluate(trained, scenes.data, scenes.index, SIZES, CPU, tmp_path / "1of1.npz")
    images = [ImageFile.of(scenes.data, r) for r in scenes.index.test]
    expected = np.zeros_like(result.confusion)
    for position, predicted in predict(trained.model, images, SIZES, CPU):
        truth = read_label(scenes.data / scenes.index.test[position].label).astype(int)
        np.add.at(expected, (predicted, np.where(truth == 255, len(trained.classes), truth)), 1)
        known = truth < 255
        for k in range(len(trained.classes)):
            assert result.hits[position, k] == ((predicted == k) & (truth == k)).sum()
            assert result.truth[position, k] == (truth == k).sum()
            assert result.predicted[position, k] == ((predicted == k) & known).sum()
    assert np.array_equal(result.confusion, expected)
    assert result.confusion.sum() == 48 * 48 * len(scenes.index.test)
    assert result.images == tuple(record.name for record in scenes.index.test)
    assert_equal(Evaluation.load([tmp_path / "1of1.npz"]), result)


def assert_equal(a, b):
    assert (a.images, a.classes) == (b.images, b.classes)
    for name in ("confusion", "hits", "truth", "predicted"):
        assert np.array_equal(getattr(a, name), getattr(b, name))


def test_shards_together_are_the_whole(trained, scenes, tmp_path):
    whole = evaluate(trained, scenes.data, scenes.index, SIZES, CPU, tmp_path / "1of1.npz")
    shards = [tmp_path / f"{number}of3.npz" for number in (2, 3, 1)]
    parts = [evaluate(trained, scenes.data, scenes.index, SIZES, CPU, path, Shard.parse(path.stem)) for path in shards]
    assert [len(part.images) for part in parts] == [3, 2, 3]
    assert_equal(Evaluation.load(shards), whole)


def test_the_metrics_file_holds_the_scores_of_the_split(trained, scenes, split, tmp_path):
    result = evaluate(trained, scenes.data, scenes.index, SIZES, CPU, tmp_path / "1of1.npz")
    write_metrics([tmp_path / "1of1.npz"], split, tmp_path / "metrics.json")
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found.pop("run") == trained.config.hash
    assert found.pop("classes") == list(split.classes)
    assert found.pop("novel_classes") == [split.classes[k] for k in split.novel]
    assert found == scores(result.confusion, split.classes, split.novel)


def test_a_model_of_other_classes_is_refused_before_any_work(trained, scenes, tmp_path):
    other = replace(trained, identity=replace(trained.identity, classes=("cat", "dog")))
    with pytest.raises(UserError, match="has other classes than .*it has 2 classes, the other 16"):
        evaluate(other, scenes.data, scenes.index, SIZES, CPU, tmp_path / "1of1.npz")
    renamed = replace(trained, identity=replace(trained.identity, classes=(*trained.classes[:-1], "other")))
    with pytest.raises(UserError, match="class 15 is 'other', in the other '.*give files of one dataset"):
        evaluate(renamed, scenes.data, scenes.index, SIZES, CPU, tmp_path / "1of1.npz")
    assert not (tmp_path / "1of1.npz").exists()
