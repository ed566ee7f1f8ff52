"""Masks of novel classes on hand-made images: overlap, who takes whose pixels, which query serves a class."""

import math

import numpy as np
import pytest
import torch

from simformer.claims.novel_masks import NovelMasks

CLASSES = ("sky", "sea", "cat", "dog")
NOVEL = (2, 3)
PROBABILITY = torch.tensor([[0.1, 0.0, 0.8, 0.0, 0.1], [0.0, 0.0, 0.2, 0.6, 0.2], [0.9, 0.0, 0.1, 0.0, 0.0]])
"""The first query serves the cat, the second the dog."""
TRUTH = np.array([[2, 2, 3, 3, 3, 0, 255]], np.uint8)
MASKS = torch.tensor(
    [[[0.9, 0.7, 0.6, 0.6, 0.2, 0.9, 0.9]], [[0.1, 0.9, 0.8, 0.8, 0.1, 0.9, 0.9]], [[0, 0, 0, 0, 0.9, 1, 1]]]
)
"""Of one image, [3, 1, 7]."""


def measured(*images) -> dict:
    found = NovelMasks(CLASSES, NOVEL)
    for probability, masks, truth in images:
        found.add(probability, masks, truth)
    return found.result()


def test_two_novel_classes_by_hand():
    result = measured((PROBABILITY, MASKS, TRUTH))
    assert result["own"] == pytest.approx(((0.9 + 0.7) / 2 + (0.8 + 0.8 + 0.1) / 3) / 2)
    assert result["others"] == pytest.approx(((0.6 + 0.6 + 0.2) / 3 + (0.1 + 0.9) / 2) / 2)
    assert result["covered"] == pytest.approx(60), "the second to the fourth of five novel pixels"
    # Scores of the cat: .74 .74 .64 .64 .27; of the dog: .06 .54 .48 .48 .06; sky wins the last pixel with .83.
    assert result["right_among_own"] == result["right"] == pytest.approx(40)
    assert (result["taker"], result["taken"], result["loser"]) == ("cat", pytest.approx(200 / 3), "dog")
    assert result["one_query"] == 100.0


def test_the_taker_has_most_of_the_wrong_pixels_and_may_be_a_base_class():
    masks = torch.zeros(3, 1, 7)
    masks[2] = 1.0
    result = measured((PROBABILITY, masks, np.array([[2, 3, 3, 3, 0, 1, 1]], np.uint8)))
    assert result["right"] == 0.0 and result["right_among_own"] == 25.0
    assert (result["taker"], result["taken"], result["loser"]) == ("sky", 100.0, "dog")


def test_one_novel_class_cannot_overlap():
    result = measured((PROBABILITY, MASKS, np.array([[2, 2, 0, 0, 0, 0, 255]], np.uint8)))
    assert result["own"] == pytest.approx(0.8) and result["right_among_own"] == 100.0
    assert math.isnan(result["others"]) and math.isnan(result["covered"])
    assert result["taker"] == "" and math.isnan(result["taken"])


def test_a_class_that_changes_its_query():
    other = PROBABILITY[[1, 0, 2]]
    cat_alone = np.array([[2, 2, 0, 0, 0, 0, 0]], np.uint8)
    result = measured(*[(PROBABILITY, MASKS, TRUTH)] * 2, (other, MASKS, cat_alone))
    assert result["one_query"] == pytest.approx(100 * (2 / 3 + 1) / 2)


def test_images_without_novel_classes_say_nothing():
    result = measured((PROBABILITY, MASKS, np.array([[0, 1, 1, 0, 0, 255, 255]], np.uint8)))
    assert result.pop("taker") == result.pop("loser") == "" and all(map(math.isnan, result.values()))
