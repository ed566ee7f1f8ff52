"""Training batches as a pure function of (seed, step)."""

import numpy as np
import pytest
import torch

from simformer.config.settings import IGNORE, AugmentSettings
from simformer.data.checked import read_label_map
from simformer.data.labels import LabelSet
from simformer.data.loader import TrainingGroups, training_steps
from simformer.data.masking import crop_labels, mask_labels
from simformer.data.pairs import PairChooser
from simformer.data.splits import Split


@pytest.fixture
def new_groups(scenes, masked):
    def make(pairs=True, seed=0, size=2):
        augment = AugmentSettings(crop=48, short_edges=(48, 56), max_long_edge=96)
        chooser = PairChooser(masked, "paper") if pairs else None
        return TrainingGroups(scenes.data, masked, augment, size, chooser, seed)

    return make


def same(a, b) -> bool:
    targets = zip(a.targets, b.targets, strict=True)
    return (
        a.names == b.names
        and torch.equal(a.images, b.images)
        and all(
            torch.equal(*map(torch.as_tensor, (x, y)))
            for s, t in targets
            for x, y in zip(vars(s).values(), vars(t).values(), strict=True)
        )
    )


def test_single_images_are_visited_once_per_epoch(new_groups, masked):
    groups, count = new_groups(pairs=False, size=3), len(masked.images)
    ids = [i for n in range(3 * count // 3) for i in groups.image_ids(n)]
    epochs = [ids[first : first + count] for first in range(0, 3 * count, count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 3


def test_groups_may_straddle_epochs(new_groups, masked):
    groups, count = new_groups(pairs=False, size=5), len(masked.images)
    ids = [i for n in range(2 * count // 5 + 1) for i in groups.image_ids(n)]
    assert sorted(ids[:count]) == sorted(ids[count : 2 * count]) == list(range(count))


def test_with_pairs_every_image_is_the_input_once_per_epoch(new_groups, masked):
    groups, count = new_groups(), len(masked.images)
    for epoch in range(2):
        pairs = [groups.image_ids(epoch * count + n) for n in range(count)]
        assert sorted(image for image, _ in pairs) == list(range(count))
        for image, reference in pairs:
            assert image != reference
            assert set(masked.images[image].classes) & set(masked.images[reference].classes)


def test_an_image_meets_different_references(new_groups, masked):
    groups, count = new_groups(), len(masked.images)
    met = {}
    for n in range(10 * count):
        image, reference = groups.image_ids(n)
        met.setdefault(image, set()).add(reference)
    assert np.mean([len(references) for references in met.values()]) > 2


def test_random_access_equals_reading_in_order(new_groups):
    in_order = [new_groups()[n] for n in range(6)]
    groups = new_groups()
    for n in (5, 0, 3, 3, 30, 1):
        assert same(groups[n], in_order[n]) if n < 6 else not same(groups[n], in_order[0])


def test_seeds_and_slots_get_their_own_augmentation(new_groups):
    assert not same(new_groups(seed=0)[0], new_groups(seed=1)[0])
    twins = new_groups(pairs=False)
    twins.image_ids = lambda group: [0, 0]
    group = twins[0]
    assert group.names[0] == group.names[1]
    assert not torch.equal(group.images[0], group.images[1])
    assert not torch.equal(group.images[0], twins[1].images[0])


def test_targets_carry_masks_of_base_and_labels_of_novel_classes(new_groups, masked):
    by_name = {image.name: image for image in masked.images}
    novel_seen = 0
    for n in range(8):
        group = new_groups()[n]
        for name, target in zip(group.names, group.targets, strict=True):
            novel = masked.novel_labels(by_name[name])
            assert target.class_ids[~target.has_mask].tolist() == novel
            assert set(target.class_ids[target.has_mask].tolist()) <= set(by_name[name].classes) - set(novel)
            assert target.label_map.shape == target.padding.shape == (48, 48)
            novel_seen += len(novel)
    assert novel_seen


def test_the_number_of_workers_does_not_matter(new_groups):
    alone = list(training_steps(new_groups(), 2, 1, 5, workers=0))
    helped = list(training_steps(new_groups(), 2, 1, 5, workers=2))
    assert [len(step) for step in alone] == [2] * 4
    assert all(same(a, b) for x, y in zip(alone, helped, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("start", [0, 3, 5])
def test_starting_at_a_step_gives_the_groups_of_that_step(new_groups, start):
    whole = list(training_steps(new_groups(), 2, 0, 6, workers=0))
    rest = list(training_steps(new_groups(), 2, start, 6, workers=0))
    assert len(rest) == 6 - start
    assert all(same(a, b) for x, y in zip(whole[start:], rest, strict=True) for a, b in zip(x, y, strict=True))


def test_nothing_is_left_after_the_last_step(new_groups):
    assert list(training_steps(new_groups(), 2, 6, 6, workers=0)) == []


def test_loading_draws_from_no_global_generator(new_groups):
    torch.manual_seed(3), np.random.seed(3)
    expected = torch.rand(1), np.random.random()
    torch.manual_seed(3), np.random.seed(3)
    list(training_steps(new_groups(), 2, 0, 2, workers=0))
    assert (torch.rand(1), np.random.random()) == expected


def test_with_crop_scope_novel_labels_are_those_of_the_crop_and_hidden_pixels_stay_hidden(
    scenes, split, masked, new_config, tmp_path
):
    full = mask_labels(scenes.data, scenes.index, Split(scenes.index.classes, ()), tmp_path / "full")
    crops = LabelSet.load(crop_labels(full, split, tmp_path / "crop").root / "labels.json")
    assert crops.crop_scope and crops.novel == masked.novel and crops.hash != full.hash
    settings = new_config({"augment": {"crop": 24}}).settings.augment
    released, image_level = (TrainingGroups(scenes.data, labels, settings, 2, None, 0) for labels in (crops, masked))
    lost = 0
    for number in range(24):
        for slot, image in enumerate(released.image_ids(number)):
            target = released[number].targets[slot]
            truth = released.crop(image, number, slot, read_label_map(full, full.images[image])).label_map
            novel = torch.isin(truth, torch.tensor(split.novel))
            assert torch.equal(target.label_map, truth.masked_fill(novel, IGNORE))
            assert target.class_ids[~target.has_mask].tolist() == truth[novel].unique().tolist()
            lost += len(masked.novel_labels(masked.images[image])) - int((~target.has_mask).sum())
    assert lost > 0, "a crop of half the size loses some novel class"
    assert [released.image_ids(n) for n in range(3)] == [image_level.image_ids(n) for n in range(3)]
