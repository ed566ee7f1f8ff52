"""Controls of RETAB: base masks of other images, and fewer base classes; image-level labels stay."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from simformer.baselines.retab.controls import CONTROLS, control_labels, kept_base, partners
from simformer.data.checked import label_checksum
from simformer.data.images import read_label, write_label
from simformer.data.labels import LabelSet
from simformer.errors import UserError


def test_every_image_has_another_ones_masks_and_each_set_of_masks_is_used_once(masked, tmp_path):
    found = control_labels(masked, "shuffled", 0, tmp_path)
    others = partners(masked.images, 0)
    assert sorted(other.name for other in others.values()) == sorted(image.name for image in masked.images)
    for mine, original in zip(found.images, masked.images, strict=True):
        assert others[mine.name].name != mine.name
        assert (mine.classes, mine.image_sha256) == (original.classes, original.image_sha256)
        assert mine.label_sha256 == others[mine.name].label_sha256
        assert np.array_equal(read_label(found.label_path(mine)), read_label(masked.label_path(others[mine.name])))
    assert (found.novel, LabelSet.load(tmp_path / "labels.json").hash) == (masked.novel, found.hash)


def sized(*sizes):
    return tuple(SimpleNamespace(name=str(n), height=height, width=width) for n, (height, width) in enumerate(sizes))


@pytest.mark.parametrize(
    "sizes",
    [
        [(10 + n, 20) for n in range(5)],
        [(10, 20), (10, 20), (11, 20)],
        [(10, 20), (10, 20), (11, 20), (30, 20), (31, 20)],
        [(10, 20), (12, 20)],
    ],
)
def test_no_image_is_its_own_partner_and_each_is_one_once(sizes):
    images = sized(*sizes)
    found = partners(images, 0)
    assert all(found[image.name] is not image for image in images)
    assert sorted(other.name for other in found.values()) == [image.name for image in images]


def test_images_of_a_size_of_their_own_are_paired_by_size():
    found = partners(sized((30, 20), (10, 20), (31, 20), (11, 20), (50, 50), (50, 50)), 0)
    assert [found[name].name for name in "012345"] == ["2", "3", "0", "1", "5", "4"]


def test_a_single_image_has_no_partner():
    with pytest.raises(UserError, match="a control needs two training images or more, found 1"):
        partners(sized((10, 20)), 0)


def test_masks_of_an_image_of_another_size_are_brought_to_the_size(masked, tmp_path):
    first, second = masked.images[:2]
    small = read_label(masked.label_path(second))[::2, ::2]
    write_label(tmp_path / "before" / second.label, small)
    write_label(tmp_path / "before" / first.label, read_label(masked.label_path(first)))
    height, width = small.shape
    smaller = replace(second, height=height, width=width, label_sha256=label_checksum(small))
    two = replace(masked, images=(first, smaller), root=tmp_path / "before")
    found = control_labels(two, "shuffled", 0, tmp_path / "after")
    maps = [read_label(found.label_path(image)) for image in found.images]
    assert np.array_equal(maps[0][::2, ::2], small) and maps[0].shape == (first.height, first.width)
    assert np.array_equal(maps[1], read_label(masked.label_path(first))[::2, ::2])


def test_fewer_base_classes_are_parts_of_more_and_only_their_masks_go(masked, tmp_path):
    base = set(range(len(masked.classes))) - set(masked.novel)
    half, quarter = (kept_base(masked, percent, 0) for percent in (50, 25))
    assert quarter < half < base and len(half) == len(base) // 2 and len(quarter) == len(base) // 4
    found = control_labels(masked, "base50", 0, tmp_path)
    for image, original in zip(found.images, masked.images, strict=True):
        thin, full = read_label(found.label_path(image)), read_label(masked.label_path(original))
        assert np.array_equal(thin, np.where(np.isin(full, list(half)), full, 255))
        assert image.classes == original.classes


def test_unknown_controls_are_refused(masked, tmp_path):
    with pytest.raises(UserError, match=f"no control 'base75'; there are {', '.join(CONTROLS)}"):
        control_labels(masked, "base75", 0, tmp_path)
