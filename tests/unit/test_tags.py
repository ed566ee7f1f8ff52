"""Tags instead of masks: a training reads the same, bit for bit, and nothing learns that an unknown class is absent."""

import json
from dataclasses import replace

import pytest
import torch

from simformer.build import build_training, load_model
from simformer.config.pseudo import PseudoSettings
from simformer.config.settings import InferenceSettings
from simformer.data.audit import audit
from simformer.data.derived_labels import fill_labels
from simformer.data.loader import TrainingGroups
from simformer.data.masking import image_labels, mask_labels
from simformer.evaluate import evaluate
from simformer.losses.matching import match
from simformer.metrics import write_metrics
from simformer.pseudo_labels import pseudo_labels
from simformer.training.objective import Objective
from tests.conftest import contents
from tests.tagged import delete_masks
from tests.unit.baselines.stages import pipeline
from tests.unit.data.test_masking import KEYS

CPU = torch.device("cpu")
SIZES = InferenceSettings(short_edge=48, max_long_edge=96)


@pytest.fixture(scope="module")
def deleted(scenes, split, tmp_path_factory):
    """The scenes without the masks of novel classes, in training and test images, but with tags: data and index."""
    names = [scenes.index.classes[k] for k in split.novel]
    folder = tmp_path_factory.mktemp("deleted") / "data"
    data = delete_masks(scenes.data, folder, names, subsets=("train.txt", "test.txt"))
    return data, audit(data, 1)[0]


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_deleted_masks_with_tags_train_as_hidden_masks_do_bit_for_bit(
    scenes, split, masked, deleted, new_config, run_training, tmp_path, monkeypatch, keys
):
    data, index = deleted
    tagged = mask_labels(data, index, split, tmp_path / "masked")
    assert contents(tagged.root) == contents(masked.root)
    config, results = new_config({"optim": {"steps": 3}}, keys), []
    for name, place, labels in (("hidden", scenes.data, masked), ("deleted", data, tagged)):
        monkeypatch.setattr(scenes, "data", place)
        outputs = run_training(config, labels, tmp_path / name)
        trained = load_model(outputs.model, CPU)
        for rule in ("released", "common"):
            folder = tmp_path / name / "pseudo" / rule
            pseudo_labels(trained, place, labels, SIZES, CPU, folder, choice=PseudoSettings(rule=rule))
        fill_labels(labels, tmp_path / name / "pseudo" / "fill")
        results.append((outputs.model.read_bytes(), contents(tmp_path / name / "pseudo")))
    assert results[0] == results[1]


def test_baselines_learn_the_same_from_tags(scenes, image_set, deleted, stages, tmp_path):
    data, index = deleted
    labels = image_labels(index, tmp_path / "image_labels")
    assert labels.hash == image_set.hash
    mine = pipeline(data, labels, tmp_path)
    assert mine.classifier.model.read_bytes() == stages.classifier.model.read_bytes()
    assert mine.maps.checksums == stages.maps.checksums
    assert mine.psa.model.read_bytes() == stages.psa.model.read_bytes()


def test_what_cannot_be_scored_has_no_number(scenes, split, masked, deleted, new_config, run_training, tmp_path):
    data, index = deleted
    trained = load_model(run_training(new_config({"optim": {"steps": 1}}), masked, tmp_path).model, CPU)
    metrics = {}
    for name, place, of in (("drawn", scenes.data, scenes.index), ("deleted", data, index)):
        evaluate(trained, place, of, SIZES, CPU, tmp_path / f"{name}.npz")
        write_metrics([tmp_path / f"{name}.npz"], split, tmp_path / f"{name}.json")
        metrics[name] = json.loads((tmp_path / f"{name}.json").read_text())
    assert metrics["drawn"]["novel"] is not None
    assert metrics["deleted"]["novel"] is None
    novel = {index.classes[k] for k in split.novel}
    assert all((value is None) >= (name in novel) for name, value in metrics["deleted"]["iou"].items())
    assert metrics["deleted"]["base"] is not None


@pytest.fixture(scope="module")
def doubtful(scenes, split, tmp_path_factory):
    """The same scenes, of which every second does not tell about one of its novel classes: data, labels."""
    names = [scenes.index.classes[k] for k in split.novel]

    def cell(image, name, shown):
        return "" if int(image[-1]) % 2 and name == names[int(image[-2:]) % len(names)] else "01"[shown]

    folder = tmp_path_factory.mktemp("doubtful")
    data = delete_masks(scenes.data, folder / "data", names, cell)
    return data, mask_labels(data, audit(data, 1)[0], split, folder / "masked")


def test_unknown_classes_reach_the_batches_and_no_target(doubtful, new_config):
    data, labels = doubtful
    settings = new_config().settings
    assert any(image.unknown for image in labels.images)
    assert all(set(image.unknown) <= set(labels.novel) - set(image.classes) for image in labels.images)
    groups = TrainingGroups(data, labels, settings.augment, 2, None, seed=0)
    of = {image.name: image for image in labels.images}
    for group in map(groups.__getitem__, range(6)):
        for name, target in zip(group.names, group.targets, strict=True):
            assert target.unknown == of[name].unknown
            assert not set(target.class_ids.tolist()) & set(target.unknown)


def test_a_training_with_unknown_classes_runs_and_differs_from_one_where_they_are_absent(
    scenes, doubtful, new_config, run_training, tmp_path, monkeypatch
):
    data, labels = doubtful
    monkeypatch.setattr(scenes, "data", data)
    plus = {"loss": {"exclusive": 2.5, "present": 1.0, "ramp": (0.0, 0.0)}}
    config = new_config({"optim": {"steps": 4}}, plus)
    absent = replace(labels, images=tuple(replace(image, unknown=()) for image in labels.images))
    first, again, other = (
        run_training(config, given, tmp_path / name).model.read_bytes()
        for name, given in (("a", labels), ("b", labels), ("c", absent))
    )
    assert first == again
    assert first != other


def test_the_query_of_no_class_learns_nothing_of_unknown_ones_in_a_whole_step(doubtful, new_config):
    data, labels = doubtful
    training = build_training(new_config(), data, labels, None, CPU)
    groups = [training.groups[n] for n in range(2)]
    targets = [target for group in groups for target in group.targets]
    assert any(target.unknown for target in targets)
    objective = Objective(training.model, training.simnet, training.loss, torch.float32)
    outputs = []

    def loss(output, *arguments, **options):
        output.class_logits.retain_grad()
        outputs.append(output)
        return training.loss(output, *arguments, **options)

    objective.loss = loss
    terms = objective(groups, 4, 2, [0, 1], 0)
    terms["cls"].backward()
    output = outputs[0]
    matches = match(output.class_logits, output.mask_logits, targets, training.loss.matching)
    free = torch.ones(output.class_logits.shape[:3], dtype=torch.bool)
    free[matches.layer, matches.image, matches.query] = False
    for number, target in enumerate(targets):
        gradient = output.class_logits.grad[:, number][free[:, number]]
        for k in range(len(labels.classes)):
            assert bool((gradient[:, k] == 0).all()) == (k in target.unknown)
