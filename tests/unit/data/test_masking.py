"""The weak-shot wall: nothing downstream can depend on a hidden pixel."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simformer.build import load_model
from simformer.config.pseudo import PseudoSettings
from simformer.config.settings import AugmentSettings, InferenceSettings
from simformer.data.derived_labels import fill_labels
from simformer.data.images import read_label, write_label
from simformer.data.index import DatasetIndex
from simformer.data.labels import LabelSet
from simformer.data.loader import TrainingGroups
from simformer.data.masking import hide_novel, mask_labels
from simformer.data.pairs import PairChooser
from simformer.data.splits import make_split
from simformer.pseudo_labels import pseudo_labels
from tests.conftest import contents

FOUR = slice(1, 5)
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def few(scenes) -> DatasetIndex:
    """Index of four of the scenes, which show every novel class."""
    return replace(scenes.index, train=scenes.index.train[FOUR])


def change_hidden_pixels(truth: np.ndarray, novel: tuple[int, ...], how: str, seed: int) -> np.ndarray:
    """Return a label map that differs from the true one only where it is novel or ignored."""
    rng = np.random.default_rng(seed)
    hidden = np.isin(truth, [*novel, 255])
    new = truth.copy()
    if how == "permute":
        new[hidden] = rng.permutation(truth[hidden])
    elif how == "erase":
        new[hidden] = 255
    elif how == "swap":
        table = np.arange(256, dtype=np.uint8)
        table[[*novel, 255]] = rng.permutation([*novel, 255])
        new = table[truth]
    else:
        new[hidden] = rng.choice([*novel, 255], hidden.sum())
    assert np.array_equal(new[~hidden], truth[~hidden])
    return new


def write_changed(source: Path, index: DatasetIndex, novel, how: str, seed: int, target: Path) -> DatasetIndex:
    """Write a dataset whose hidden pixels are changed; image-level labels and images stay."""
    for i, record in enumerate(index.train):
        write_label(
            target / record.label, change_hidden_pixels(read_label(source / record.label), novel, how, seed + i)
        )
    (target / "images").symlink_to(source / "images")
    return audited_anew(index, target)


def audited_anew(index: DatasetIndex, data: Path) -> DatasetIndex:
    """The index with the checksums of the label maps as they are now."""
    hashed = [hashlib.sha256((data / record.label).read_bytes()).hexdigest() for record in index.train]
    records = [replace(record, label_sha256=new) for record, new in zip(index.train, hashed, strict=True)]
    return replace(index, train=tuple(records))


def batches(data: Path, labels: LabelSet) -> list:
    """All that training reads of some groups, as plain bytes and lists."""
    augment = AugmentSettings(crop=48, short_edges=(48, 56), max_long_edge=96)
    groups = TrainingGroups(data, labels, augment, 2, PairChooser(labels, "paper"), seed=0)
    return [
        (g.names, g.images.numpy().tobytes(), [[np.asarray(t).tobytes() for t in vars(x).values()] for x in g.targets])
        for g in map(groups.__getitem__, range(4))
    ]


@pytest.fixture(scope="session")
def honest(scenes, few, split, tmp_path_factory):
    """What follows from the true label maps: folders of masked and filled labels, pairs and batches."""
    folder = tmp_path_factory.mktemp("honest")
    return folder, everything(scenes.data, few, split, folder)


def everything(data: Path, index: DatasetIndex, split, folder: Path) -> tuple:
    masked = mask_labels(data, index, split, folder / "masked")
    fill_labels(masked, folder / "fill")
    choosers = [PairChooser(masked, mode) for mode in ("paper", "code")]
    pairs = [[c.choose(i, np.random.default_rng([i, j])) for i in range(4) for j in range(5)] for c in choosers]
    return masked.hash, contents(folder), pairs, batches(data, masked)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(how=st.sampled_from(["permute", "erase", "swap", "reassign"]), seed=st.integers(0, 10**6))
def test_no_hidden_pixel_reaches_labels_pairs_or_batches(scenes, few, split, honest, tmp_path_factory, how, seed):
    folder = tmp_path_factory.mktemp("changed")
    index = write_changed(scenes.data, few, split.novel, how, seed, folder / "data")
    assert everything(folder / "data", index, split, folder / "out") == honest[1]


KEYS = {
    "defaults": {},
    "exclusive, present": {"loss": {"exclusive": 2.5, "present": 1.0, "present_share": 0.1, "ramp": (0.0, 0.0)}},
    "the paper's pairs, attached": {"similarity": {"points": 20, "pairs": "paper", "detach": False}},
    "another SimNet": {"model": {"simnet_norm": "layer", "simnet_input": "relational"}},
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_no_hidden_pixel_reaches_weights_or_pseudo_labels(
    scenes, split, masked, new_config, run_training, tmp_path, monkeypatch, keys
):
    config = new_config({"optim": {"steps": 2}}, keys)
    index = write_changed(scenes.data, scenes.index, split.novel, "reassign", 1, tmp_path / "data")
    changed = mask_labels(tmp_path / "data", index, split, tmp_path / "masked")
    results = []
    for name, data, labels in (("honest", scenes.data, masked), ("changed", tmp_path / "data", changed)):
        monkeypatch.setattr(scenes, "data", data)
        outputs = run_training(config, labels, tmp_path / name)
        trained = load_model(outputs.model, CPU)
        sizes = InferenceSettings(short_edge=48, max_long_edge=96)
        for rule in ("released", "common"):
            folder = tmp_path / name / "pseudo" / rule
            pseudo_labels(trained, data, labels, sizes, CPU, folder, choice=PseudoSettings(rule=rule))
        results.append((outputs.model.read_bytes(), contents(tmp_path / name / "pseudo")))
    assert results[0] == results[1]
    assert len(results[0][1]) == 2 * (len(scenes.index.train) + 1)  # label maps, and labels.json


def test_a_visible_pixel_does_change_what_is_written(scenes, few, split, honest, tmp_path):
    index = write_changed(scenes.data, few, (), "erase", 0, tmp_path / "data")
    path = tmp_path / "data" / few.train[0].label
    truth = read_label(path)
    base = np.argwhere(np.isin(truth, split.base))[0]
    truth[tuple(base)] = 255
    write_label(path, truth)
    index = audited_anew(index, tmp_path / "data")
    assert everything(tmp_path / "data", index, split, tmp_path / "out")[1] != honest[1][1]


def test_exactly_the_novel_pixels_are_hidden():
    label_map = np.array([[0, 1, 2], [3, 255, 254]], np.uint8)
    assert hide_novel(label_map, (1, 254)).tolist() == [[0, 255, 2], [3, 255, 255]]
    assert hide_novel(label_map, ()).tolist() == label_map.tolist()
    assert label_map[0, 1] == 1


def test_the_masked_set_keeps_base_pixels_and_image_level_labels(scenes, split, masked):
    assert [i.name for i in masked.images] == [r.name for r in scenes.index.train]
    assert (masked.classes, masked.novel) == (scenes.index.classes, split.novel)
    hidden = 0
    for image, record in zip(masked.images, scenes.index.train, strict=True):
        truth, seen = read_label(scenes.data / record.label), read_label(masked.label_path(image))
        assert np.array_equal(seen, np.where(np.isin(truth, split.novel), 255, truth))
        assert set(image.classes) == set(np.unique(truth)) - {255}
        assert (image.height, image.width) == truth.shape
        hidden += np.isin(truth, split.novel).sum()
    assert hidden > 100
    assert LabelSet.load(masked.root / "labels.json") == masked


def test_without_novel_classes_the_labels_are_the_true_ones(scenes, few, tmp_path):
    full = mask_labels(scenes.data, few, make_split(few.classes, {"full": True}), tmp_path)
    for image, record in zip(full.images, few.train, strict=True):
        assert np.array_equal(read_label(full.label_path(image)), read_label(scenes.data / record.label))
        assert full.novel_labels(image) == []
