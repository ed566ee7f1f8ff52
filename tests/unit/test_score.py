"""Predictions of other programs, scored as those of our networks are."""

import json

import numpy as np
import pytest

from simformer.cli import main
from simformer.data.images import encode_label, read_label
from simformer.evaluate import score
from simformer.metrics import Evaluation, scores


def ids_of(scenes, record):
    """Some prediction: the truth, moved by a few pixels; 255, or anything, where the truth is unknown."""
    truth = read_label(scenes.data / record.label)
    return np.where(truth == 255, 255, np.roll(np.where(truth == 255, 0, truth), 5, axis=1))


@pytest.fixture
def predictions(scenes, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for record in scenes.index.test:
        (folder / f"{record.name}.png").write_bytes(encode_label(ids_of(scenes, record)))
    return folder


def command(scenes, predictions, *words):
    return main(["score", "--predictions", str(predictions), "--data", str(scenes.data), *map(str, words)])


@pytest.fixture
def groups(scenes, split, tmp_path):
    scenes.index.save(scenes.data / "index.json")
    split.save(tmp_path / "split.yaml")
    return tmp_path / "split.yaml"


def test_scores_are_those_of_the_pixels(scenes, split, groups, predictions, tmp_path, capsys):
    assert command(scenes, predictions, "--split", groups, "--output", tmp_path / "m.json") == 0
    count = len(split.classes)
    confusion = np.zeros((count + 1, count + 1), int)
    for record in scenes.index.test:
        truth = read_label(scenes.data / record.label)
        known = truth < 255
        np.add.at(confusion, (ids_of(scenes, record)[known], truth[known]), 1)
    expected = scores(confusion, split.classes, split.novel)
    found = json.loads((tmp_path / "m.json").read_text())
    assert found["predictions"] == str(predictions)
    assert {name: found[name] for name in expected} == expected
    means = ", ".join(f"{name} {expected[name]:.1f}" for name in ("novel", "base", "all"))
    assert capsys.readouterr().out == f"mean IoU, percent: {means} (8 test images): {tmp_path}/m.json\n"


def test_counts_are_an_evaluation_that_metrics_reads(scenes, groups, predictions, tmp_path, capsys):
    parts = [tmp_path / f"{number}of2.npz" for number in (1, 2)]
    for part in parts:
        words = ("--shard", part.stem, "--evaluation", part, "--run-hash", "0123")
        assert command(scenes, predictions, *words) == 0
    whole = score(predictions, scenes.data, scenes.index)
    joined = Evaluation.load(parts, "0123")
    assert np.array_equal(joined.confusion, whole.confusion) and joined.images == whole.images
    words = ["--evaluation", *map(str, parts), "--split", str(groups), "--output", str(tmp_path / "m.json")]
    assert main(["metrics", *words]) == 0 and capsys.readouterr() == ("", "")


def damage(change):
    """A fault of one prediction."""

    def do(scenes, folder):
        record = scenes.index.test[3]
        path = folder / f"{record.name}.png"
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change(read_label(scenes.data / record.label)))

    return do


def with_id(number):
    return lambda truth: encode_label(np.where(truth == truth[truth < 255][0], np.uint8(number), truth))


FAULTS = {
    "missing": (None, "listed prediction not found"),
    "another size": (lambda truth: encode_label(truth[:-1]), "48x47 pixels, the image has 48x48"),
    "an id that is no class": (with_id(200), "id 200; expected ids 0 to "),
    "no class": (with_id(255), "pixels without a class (255); expected ids 0 to "),
    "no picture": (lambda truth: b"hello", "not an image"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_prediction_is_named(scenes, groups, predictions, tmp_path, capsys, name):
    change, says = FAULTS[name]
    damage(change)(scenes, predictions)
    assert command(scenes, predictions, "--split", groups, "--output", tmp_path / "m.json") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{scenes.index.test[3].name}.png" in line and says in line and not (tmp_path / "m.json").exists()


def test_all_faulty_predictions_are_named_at_once(scenes, groups, predictions, tmp_path, capsys):
    first, second, *_ = (predictions / f"{record.name}.png" for record in scenes.index.test)
    first.unlink()
    second.write_bytes(b"hello")
    assert command(scenes, predictions, "--split", groups, "--output", tmp_path / "m.json") == 1
    head, *lines = capsys.readouterr().err.splitlines()
    assert head == f"error: {predictions}: 2 problems found in these predictions:" and len(lines) == 2
    assert f"{first}: listed prediction not found" in lines[0] and f"{second}: not an image" in lines[1]
    assert not (tmp_path / "m.json").exists()


def test_what_is_asked_for_must_be_said(scenes, groups, predictions, tmp_path, capsys):
    for words in ((), ("--split", groups), ("--output", tmp_path / "m.json")):
        assert command(scenes, predictions, *words) == 1
        assert "give --split and --output" in capsys.readouterr().err
    assert command(scenes, tmp_path / "none", "--split", groups, "--output", tmp_path / "m.json") == 1
    assert "no such folder; expected the folder with <name>.png" in capsys.readouterr().err
