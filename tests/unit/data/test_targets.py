"""Targets of a crop: which classes, which masks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simformer.data.targets import make_target

NO_PADDING = torch.zeros(2, 3, dtype=torch.bool)


def target_of(rows, image_labels=()):
    return make_target(torch.tensor(rows, dtype=torch.uint8), NO_PADDING, list(image_labels))


def test_masked_classes_come_first_then_image_level_ones():
    target = target_of([[7, 255, 2], [2, 2, 255]], image_labels=[9, 4])
    assert target.class_ids.tolist() == [2, 7, 4, 9]
    assert target.has_mask.tolist() == [True, True, False, False]
    assert target.masks[0].tolist() == [[False, False, True], [True, True, False]]
    assert target.masks[1].tolist() == [[True, False, False], [False, False, False]]
    assert not target.masks[2:].any()


def test_a_crop_without_any_label_has_no_class():
    target = target_of([[255] * 3] * 2)
    assert (target.class_ids.shape, target.masks.shape, target.has_mask.shape) == ((0,), (0, 2, 3), (0,))
    assert (target.class_ids.dtype, target.masks.dtype) == (torch.int64, torch.bool)


def test_a_crop_of_hidden_pixels_keeps_its_image_level_labels():
    target = target_of([[255] * 3] * 2, image_labels=[5])
    assert (target.class_ids.tolist(), target.has_mask.tolist()) == ([5], [False])
    assert not target.masks.any()


def test_a_label_with_a_mask_is_not_named_twice():
    target = target_of([[1, 1, 1], [1, 1, 0]], image_labels=[1, 3, 3])
    assert target.class_ids.tolist() == [0, 1, 3]


def test_the_highest_id_is_a_class_and_padding_is_passed_on():
    padding = torch.tensor([[False, False, True]] * 2)
    target = make_target(torch.tensor([[254, 0, 255]] * 2, dtype=torch.uint8), padding, [])
    assert target.class_ids.tolist() == [0, 254]
    assert target.masks[1].tolist() == [[True, False, False]] * 2
    assert torch.equal(target.padding, padding)


@settings(max_examples=50, deadline=None)
@given(
    arrays("uint8", (4, 5), elements=st.sampled_from([0, 1, 3, 6, 255])),
    st.lists(st.integers(7, 12), max_size=4),
)
def test_masks_and_the_unlabelled_region_share_out_the_crop(label_map, image_labels):
    label_map = torch.from_numpy(label_map)
    target = make_target(label_map, torch.zeros(4, 5, dtype=torch.bool), image_labels)
    assert torch.equal(target.masks.sum(0) + (label_map == 255), torch.ones(4, 5, dtype=torch.int64))
    rebuilt = torch.full((4, 5), 255)
    for class_id, mask in zip(target.class_ids, target.masks, strict=True):
        rebuilt[mask] = class_id
    assert torch.equal(rebuilt, label_map.long())
    assert set(target.class_ids[~target.has_mask].tolist()) == set(image_labels)
    assert target.masks.flatten(1).any(1).tolist() == target.has_mask.tolist()


def test_only_the_maps_move_to_a_device():
    target = target_of([[7, 255, 2], [2, 2, 255]], image_labels=[9])
    moved = target.to("meta")
    places = {name: value.device.type for name, value in vars(moved).items() if name not in ("kept", "unknown")}
    assert places == {"class_ids": "cpu", "has_mask": "cpu", "label_map": "meta", "padding": "meta"}
    assert moved.masks.device.type == "meta" and moved.masks.shape == target.masks.shape
    same = target.to("cpu")
    assert all(torch.equal(getattr(same, n), getattr(target, n)) for n in places)
    with pytest.raises(AttributeError):
        target.masks = None
