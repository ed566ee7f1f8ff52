"""What a user gets for bad input through the whole pipeline: one clear line, nothing lost, a clean continuation."""

import json
import shutil

import pytest
from PIL import Image

from tests.pipeline import TINY, Pipeline

FOLDER = {
    "results": "results/tiny",
    "experiments": ["table2"],
    "datasets": {"mine": {"splits": {1: {"seed": 1}}, "settings": TINY["datasets"]["scenes"]["settings"]}},
}
INDEX = "data/mine/index.json"


@pytest.fixture(scope="module")
def source(tmp_path_factory, scenes):
    """A dataset in the folder layout, somewhere on the user's disk."""
    return shutil.copytree(scenes.data, tmp_path_factory.mktemp("user") / "mine")


@pytest.fixture
def user(tmp_path, source):
    """A pipeline with a folder dataset of its own."""
    pipeline = Pipeline(tmp_path / "pipeline")
    copy = shutil.copytree(source, tmp_path / "mine")
    (pipeline.folder / "config/datasets/mine.yaml").write_text(
        f"title: Mine\nsource: {{kind: folder, path: {copy}}}\nsettings: {{model: {{backbone: tiny, weights: none}}}}\n"
    )
    pipeline.study(FOLDER)
    pipeline.source = copy
    return pipeline


def test_broken_files_are_all_named_before_anything_is_trained(user):
    names = (user.source / "train.txt").read_text().split()
    picture = user.source / f"images/{names[0]}.png"
    picture.write_bytes(picture.read_bytes()[:200])
    label = user.source / f"labels/{names[1]}.png"
    Image.new("L", (48, 48), 99).save(label)
    (user.source / f"labels/{names[2]}.png").unlink()
    failed = user.snakemake("--cores", "2", "--show-failed-logs", INDEX)
    text = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "3 problems found in this dataset" in text and "Cannot restore" not in text
    for name, fault in ((names[0], "truncated"), (names[1], "out of range: 99"), (names[2], "not found")):
        assert any(name in line and fault in line for line in text.splitlines()), (name, fault, text)
    assert not (user.folder / INDEX).exists()
    assert f"correct it in {user.source}, then `rm -r data/mine` and type the same command" in text


@pytest.mark.slow
def test_after_mending_the_same_command_continues(user, source):
    name = (user.source / "train.txt").read_text().split()[0]
    (user.source / f"labels/{name}.png").write_bytes(b"no picture")
    assert user.snakemake("--cores", "2", INDEX).returncode != 0
    shutil.copy(source / f"labels/{name}.png", user.source / f"labels/{name}.png")
    shutil.rmtree(user.folder / "data/mine")
    done = user.snakemake("--cores", "2", "--show-failed-logs", INDEX)
    assert done.returncode == 0, done.stdout + done.stderr
    assert name in {image["name"] for image in json.loads((user.folder / INDEX).read_text())["train"]}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"novel": ["se"]}, "unknown class 'se' in novel; did you mean 'sea'?"),
        pytest.param(
            {"seed": 1, "ratio": [100, 1]},
            "ratio 100:1 of 16 classes leaves one side empty",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_split_mistakes(user, split, message):
    user.study(FOLDER | {"datasets": {"mine": FOLDER["datasets"]["mine"] | {"splits": {1: split}}}})
    failed = user.snakemake("--cores", "1", "--show-failed-logs", "results/tiny/mine/split1/split.yaml")
    assert failed.returncode != 0 and message in failed.stdout + failed.stderr


@pytest.mark.slow
def test_missing_source(user):
    shutil.rmtree(user.source)
    failed = user.snakemake("--cores", "1", "--show-failed-logs", INDEX)
    assert failed.returncode != 0
    assert str(user.source) in failed.stdout + failed.stderr


@pytest.mark.slow
def test_unreadable_weights(user):
    path = user.folder / "config/datasets/mine.yaml"
    path.write_text(path.read_text().replace("weights: none", "weights: broken.pth").replace("tiny", "mobilenet_v2"))
    (user.folder / "broken.pth").write_bytes(b"PK\x03\x04 not weights")
    failed = user.snakemake("--cores", "1", "--show-failed-logs", "data/weights/mine.mobilenet_v2.safetensors")
    text = failed.stdout + failed.stderr
    assert failed.returncode != 0 and "broken.pth" in text and "damaged" in text
    assert not (user.folder / "data/weights/mine.mobilenet_v2.safetensors").exists()
