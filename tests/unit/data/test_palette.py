"""Colours of classes."""

import numpy as np

from simformer.data.palette import (
    BASE_COLOUR,
    IGNORE_COLOUR,
    NOVEL_COLOUR,
    class_colours,
    group_colours,
    seen_colours,
)


def distances(colours):
    """Distance of the nearest two colours, per kind of colour vision."""
    places = seen_colours(colours)
    far = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    return far[:, ~np.eye(len(colours), dtype=bool)].min(axis=1)


def test_a_class_has_the_same_colour_in_every_dataset():
    many, few = class_colours(171), class_colours(16)
    np.testing.assert_array_equal(many[:16], few[:16])
    assert len(np.unique(many[:171], axis=0)) == 171
    assert (few[16:] == IGNORE_COLOUR).all() and (many[255] == IGNORE_COLOUR).all()


def test_known_oklab_values():
    lab = seen_colours(np.array([[255, 255, 255], [255, 0, 0]]))[0]
    np.testing.assert_allclose(lab, [[1, 0, 0], [0.62796, 0.22486, 0.12585]], atol=2e-4)


def test_red_and_green_of_one_lightness_are_confused_without_green_cones():
    confused = seen_colours(np.array([[180, 60, 20], [110, 110, 20]]))
    far = np.linalg.norm(confused[:, 0] - confused[:, 1], axis=-1)
    assert far[0] > 0.15 and far[2] < far[0] / 2


def test_colours_are_told_apart_with_any_vision():
    full, *others = distances(np.vstack([class_colours(21)[:21], [IGNORE_COLOUR]]))
    assert full > 0.1 and min(others) > 0.04
    full, *others = distances(np.array([BASE_COLOUR, NOVEL_COLOUR, IGNORE_COLOUR]))
    assert min(full, *others) > 0.2


def test_groups():
    table = group_colours(4, (1, 3))
    assert [tuple(row) for row in table[:5]] == [BASE_COLOUR, NOVEL_COLOUR, BASE_COLOUR, NOVEL_COLOUR, IGNORE_COLOUR]
