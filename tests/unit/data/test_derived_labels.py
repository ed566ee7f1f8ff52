"""Label sets that are made from a masked one."""

import json
from collections import Counter

import numpy as np

from simformer.data.derived_labels import derive_labels, fill_labels
from simformer.data.images import read_label


def test_derived_labels_know_only_the_classes_of_their_own_maps(masked, tmp_path):
    maps = [np.zeros((48, 48), np.uint8) for _ in masked.images]
    maps[3][4:] = 255
    maps[3][:2] = 5
    maps[3][2:4] = split_novel = masked.novel[0]
    derived = derive_labels(masked, tmp_path, "pseudo", reversed(list(enumerate(maps))))
    assert derived.novel == ()
    assert derived.images[3].classes == tuple(sorted({5, split_novel}))
    assert derived.images[0].classes == (0,)
    assert [i.name for i in derived.images] == [i.name for i in masked.images]
    assert np.array_equal(read_label(derived.label_path(derived.images[3])), maps[3])


def test_derived_sets_leave_out_images_without_any_label(masked, tmp_path):
    maps = [np.zeros((48, 48), np.uint8) for _ in masked.images]
    maps[2][:] = 255
    derived = derive_labels(masked, tmp_path, "pseudo", enumerate(maps))
    names = [image.name for image in masked.images]
    assert [image.name for image in derived.images] == names[:2] + names[3:]


def test_derived_sets_with_other_pixels_of_the_same_classes_differ_in_their_hash(masked, tmp_path):
    def derived(pixel):
        label_map = np.zeros((48, 48), np.uint8)
        label_map[pixel] = 1
        return derive_labels(masked, tmp_path, "pseudo", ((i, label_map) for i in range(len(masked.images))))

    assert derived((0, 0)).hash == derived((0, 0)).hash
    assert derived((0, 0)).hash != derived((5, 7)).hash
    text = [json.dumps(image.classes) for image in derived((5, 7)).images]
    assert set(text) == {"[0, 1]"}


def test_the_control_fills_with_the_most_frequent_novel_class_of_the_image(masked, tmp_path):
    filled = fill_labels(masked, tmp_path)
    frequency = Counter(c for image in masked.images for c in image.classes if c in masked.novel)
    filled_images = 0
    for before, after in zip(masked.images, filled.images, strict=True):
        seen, new = read_label(masked.label_path(before)), read_label(filled.label_path(after))
        novel = sorted(masked.novel_labels(before), key=lambda c: (-frequency[c], c))
        expected = np.where(seen == 255, novel[0], seen) if novel else seen
        assert np.array_equal(new, expected)
        filled_images += bool(novel)
    assert 0 < filled_images < len(masked.images)
