"""Controls of RETAB: base masks of other images, and fewer base classes; image-level labels stay."""

import numpy as np
import pytest

from simformer.baselines.retab.controls import CONTROLS, control_labels, kept_base, partners
from simformer.data.images import read_label
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
