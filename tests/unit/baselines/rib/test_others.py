"""Other images of a fine-tuning: overlap, what of their labels counts, and that no job matters."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from simformer.baselines.rib.others import (
    FreshCrops,
    Pool,
    class_states,
    counted_labels,
    draw_rows,
    image_rng,
    overlaps,
)
from simformer.baselines.rib.pooling import ABSENT, PRESENT, SHARED
from simformer.data.labels import present_classes
from simformer.errors import UserError
from tests.unit.baselines.stages import CPU, spec

SETTINGS = spec("classifier").settings


def test_the_lowest_overlaps_are_drawn_and_ties_at_random():
    overlap = np.array([0, 3, 0, 1, -1, 0, 1, 2])
    drawn = {tuple(draw_rows(overlap, 2, 3, np.random.default_rng(n))) for n in range(60)}
    assert {row for pair in drawn for row in pair} == {0, 2, 5}, "disjoint images, if there are enough"
    more = {row for n in range(60) for row in draw_rows(overlap, 2, 4, np.random.default_rng(n))}
    assert more == {0, 2, 5, 3, 6}, "then either of those that share one class"
    with pytest.raises(UserError, match="only 7 other images to draw 8 from"):
        draw_rows(overlap, 8, 9, np.random.default_rng(0))


def test_overlaps_and_counted_labels_are_those_of_a_plain_loop(image_set):
    matrix = present_classes(image_set.images, len(image_set.classes))
    for image, own in zip(image_set.images, matrix, strict=True):
        overlap = matrix.astype(int) @ own
        labels = counted_labels(matrix, own)
        for other, shared, row in zip(image_set.images, overlap, labels, strict=True):
            assert shared == len(set(image.classes) & set(other.classes))
            for c, value in enumerate(row.tolist()):
                expected = ABSENT if c not in other.classes else SHARED if c in image.classes else PRESENT
                assert value == expected


def test_an_unknown_class_may_be_shared_and_never_counts(image_set):
    images = [replace(i, unknown=tuple(sorted({n % 5, 7} - set(i.classes)))) for n, i in enumerate(image_set.images)]
    states = class_states(images, len(image_set.classes))
    for image, own in zip(images[:6], states, strict=False):
        found, labels = overlaps(states, own), counted_labels(states, own)
        for other, shared, row in zip(images, found, labels, strict=True):
            mine, its = ({*i.classes, *i.unknown} for i in (image, other))
            assert shared == len(mine & its)
            assert all(row[c] == SHARED for c in other.unknown)
            assert all(row[c] == (SHARED if c in mine else PRESENT) for c in other.classes)
            assert all(row[c] == ABSENT for c in range(len(row)) if c not in its)


def test_draws_depend_on_image_and_iteration_alone():
    draws = [
        image_rng(*key).integers(1 << 30) for key in ((0, "a", 0), (0, "a", 0), (0, "a", 1), (0, "b", 0), (1, "a", 0))
    ]
    assert draws[0] == draws[1] and len(set(draws)) == 4


@pytest.fixture(params=["fresh", "pool"])
def source(request, scenes):
    """Make a source of other images, from the images themselves."""

    def make(labels, size=24):
        common = (scenes.data, labels, SETTINGS, 3, 4, 0, nn.Identity(), CPU)
        return FreshCrops(*common) if request.param == "fresh" else Pool(FreshCrops(*common), size)

    return make


def test_others_are_other_images_and_share_no_counted_class(source, image_set):
    others = source(image_set)
    for image in image_set.images[:4]:
        features, labels = others.draw(image, 0)
        assert features.shape == (3, 3, 48, 48) and labels.shape == (3, len(image_set.classes))
        assert (labels[:, list(image.classes)] != PRESENT).all()
        again, _ = source(image_set).draw(image, 0)
        assert torch.equal(features, again)
        assert not torch.equal(features, others.draw(image, 1)[0])


def test_the_image_itself_is_never_drawn(source, image_set):
    two = replace(image_set, images=image_set.images[:4])
    for image in two.images:
        _, labels = source(two).draw(image, 0)
        matrix, row = present_classes(two.images, len(two.classes)), two.images.index(image)
        want = sorted(counted_labels(matrix, matrix[row]).tolist())
        want.remove(counted_labels(*(matrix[[row]],) * 2)[0].tolist())
        assert all(row in want for row in labels.tolist())
