"""F1 of SimNet (Table 3): counting against loops, the novel region alone, and nothing left changed."""

import json
from dataclasses import replace

import pytest
import torch

from simformer.analysis.tables.table_text import pivot
from simformer.analysis.tables.tables import collect
from simformer.build import load_model
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.loader import TrainingGroups
from simformer.data.masking import mask_labels
from simformer.data.pairs import PairChooser
from simformer.data.splits import Split
from simformer.errors import UserError
from simformer.models.simnet import SimNet
from simformer.simnet_f1 import PixelPairs, count_pairs, f1, simnet_f1
from simformer.study.files import METRICS
from tests.conftest import SINGLE

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def full(scenes, tmp_path_factory):
    """The scenes' label set with all masks."""
    return mask_labels(scenes.data, scenes.index, Split(scenes.index.classes, ()), tmp_path_factory.mktemp("full"))


def test_counts_against_loops():
    torch.manual_seed(0)
    simnet = SimNet(8, 16).eval()
    sample = PixelPairs(torch.randn(2, 6, 8), torch.tensor([[0, 0, 3, 3, IGNORE, 5], [3, 0, 0, IGNORE, 5, 5]]))
    expected = torch.zeros(2, 2)
    for first, second in ((0, 1), (1, 0)):
        for i in range(6):
            for j in range(6):
                a, b = sample.labels[first, i], sample.labels[second, j]
                if IGNORE in (a, b):
                    continue
                pair = sample.features[first, i].view(1, 1, -1), sample.features[second, j].view(1, 1, -1)
                with torch.no_grad():
                    expected[int(a == b), int(simnet(*pair).item() >= 0.5)] += 1
    assert torch.equal(count_pairs(sample, simnet, training=False), expected)
    assert expected.sum() == 2 * 5 * 5


def test_train_mode_uses_the_pairs_own_statistics_and_leaves_the_running_ones():
    torch.manual_seed(0)
    simnet = SimNet(8, 16).eval()
    before = {name: value.clone() for name, value in simnet.state_dict().items()}
    sample = PixelPairs(5 + 3 * torch.randn(2, 20, 8), torch.randint(0, 2, (2, 20)))
    with torch.no_grad():
        assert not torch.equal(count_pairs(sample, simnet, training=True), count_pairs(sample, simnet, training=False))
    assert not simnet.training
    assert all(torch.equal(value, before[name]) for name, value in simnet.state_dict().items())


def test_f1_by_hand():
    # Dissimilar: 3 hits of 4, 5 predicted; similar: 6 hits of 8, 7 predicted.
    assert f1(torch.tensor([[3.0, 1.0], [2.0, 6.0]])) == pytest.approx([100 * 6 / 9, 100 * 12 / 15])


def test_pairs_of_a_kind_that_does_not_occur_have_no_f1():
    assert f1(torch.zeros(2, 2)) == [None, None]
    assert f1(torch.tensor([[0.0, 0.0], [0.0, 10.0]])) == [None, 100]  # one novel class, and a SimNet without fault
    assert f1(torch.tensor([[0.0, 0.0], [4.0, 6.0]])) == [0, 75]


def test_a_table_has_no_number_where_there_is_no_f1(scenes, full, masked, new_config, run_training, tmp_path):
    trained = load_model(run_training(new_config(), masked, tmp_path).model, CPU)
    path = tmp_path / "f1.json"
    simnet_f1(trained, scenes.data, masked, full, CPU, 0, path)  # no image pair, and so no pair of pixels
    run = {"dataset": "toys", "split": "split1", "method": "plain", "seed": 0, "path": path}
    rows = [{"method": "plain", "label": "Plain", "ranked": True}]
    table = collect({"rows": rows, "metrics": ["novel_dis"], "runs": [run], "reported": {}})
    assert table["n"].tolist() == [0] and pivot(table, {"rows": rows}).values.tolist() == [["-"]]


def test_crops_of_the_true_labels_are_those_of_training(scenes, masked, full, new_config):
    settings = new_config().settings.augment
    groups = TrainingGroups(scenes.data, masked, settings, 2, PairChooser(masked, "paper"), 3)
    hidden = 0
    for number in range(12):
        group = groups[number]
        for slot, image in enumerate(groups.image_ids(number)):
            crop = groups.crop(image, number, slot, read_label_map(full, full.images[image]))
            seen = group.targets[slot].label_map
            assert torch.equal(crop.image, group.images[slot])
            assert torch.equal(crop.label_map[seen != IGNORE], seen[seen != IGNORE])
            hidden += int((crop.label_map != seen).sum())
    assert hidden > 0


def test_a_trained_model_is_measured_the_same_every_time(scenes, masked, full, new_config, run_training, tmp_path):
    trained = load_model(run_training(new_config(), masked, tmp_path).model, CPU)
    results = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.json"
        results.append(simnet_f1(trained, scenes.data, masked, full, CPU, 4, path))
        assert json.loads(path.read_text()) == results[-1]
    assert results[0] == results[1]
    assert results[0].pop("run") == trained.config.hash
    assert results[0].pop("classes") == list(masked.classes)
    assert results[0].pop("novel_classes") == [masked.classes[k] for k in masked.novel]
    assert set(results[0]) == set(METRICS["simnet_f1"])
    assert all(value is None or 0 <= value <= 100 for value in results[0].values()) and any(results[0].values())


def test_what_a_run_learns_from_does_not_choose_the_pixels_it_is_measured_on(
    scenes, masked, full, new_config, run_training, tmp_path
):
    trained = load_model(run_training(new_config(), masked, tmp_path).model, CPU)
    settings = trained.config.settings
    similarity = settings.similarity.model_copy(update={"pairs": "paper"})
    config = trained.config.model_copy(update={"settings": settings.model_copy(update={"similarity": similarity})})
    results = [
        simnet_f1(run, scenes.data, masked, full, CPU, 4, tmp_path / "f1.json")
        for run in (trained, replace(trained, config=config))
    ]
    assert {**results[0], "run": ""} == {**results[1], "run": ""}


def test_only_a_method_with_simnet_can_be_measured(scenes, masked, full, new_config, run_training, tmp_path):
    plain = load_model(run_training(new_config(SINGLE), masked, tmp_path).model, CPU)
    with pytest.raises(UserError, match="method 'tiny' has no SimNet; choose one with loss.sim > 0"):
        simnet_f1(plain, scenes.data, masked, full, CPU, 4, tmp_path / "f1.json")


def test_both_label_sets_must_hold_the_same_images(scenes, masked, full, new_config, run_training, tmp_path):
    trained = load_model(run_training(new_config(), masked, tmp_path).model, CPU)
    with pytest.raises(UserError, match="belongs to another dataset"):
        simnet_f1(trained, scenes.data, masked, replace(full, dataset="another"), CPU, 4, tmp_path / "f1.json")
