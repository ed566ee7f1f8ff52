"""Confusion matrix and the scores made from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simformer.metrics import confusion_matrix, scores

NAMES = ("a", "b", "c", "d")


def test_golden_numbers_of_the_reference_evaluator():
    truth = np.array([0, 0, 1, 1, 255, 255, 0, 1], np.uint8)
    predicted = np.array([0, 1, 1, 1, 2, 0, 0, 2], np.uint8)
    matrix = confusion_matrix(predicted, truth, 3)
    assert matrix.tolist() == [[2, 0, 0, 1], [1, 2, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    result = scores(matrix, NAMES[:3], novel=(1,))
    assert result["all"] == pytest.approx(58.333, abs=1e-3)
    assert result["all_acc"] == pytest.approx(66.667, abs=1e-3)
    assert result["pixel_acc"] == pytest.approx(66.667, abs=1e-3)
    assert result["fw_iou"] == pytest.approx(58.333, abs=1e-3)
    assert result["iou"] == {"a": pytest.approx(200 / 3), "b": 50.0, "c": None}
    assert (result["novel"], result["base"]) == (50.0, pytest.approx(200 / 3))


def test_a_class_that_only_predictions_hold_is_in_no_mean_but_costs_the_others():
    result = scores(confusion_matrix(np.array([0, 2]), np.array([0, 0]), 3), NAMES[:3], novel=(2,))
    assert (result["all"], result["novel"], result["novel_acc"], result["iou"]["c"]) == (50.0, None, None, None)


def test_no_pixel_at_all_gives_no_number():
    result = scores(confusion_matrix(np.array([1, 0]), np.array([255, 255]), 2), NAMES[:2], novel=())
    assert all(result[key] is None for key in ("novel", "base", "all", "pixel_acc", "fw_iou"))


def naive(pairs, chosen):
    """Mean IoU and accuracy of some classes, pixel by pixel: (prediction, truth) pairs without ignored ones."""
    ious, accuracies = [], []
    for c in chosen:
        truth = [p for p, t in pairs if t == c]
        if truth:
            hits = truth.count(c)
            union = sum(p == c or t == c for p, t in pairs)
            ious.append(100 * hits / union)
            accuracies.append(100 * hits / len(truth))
    return [sum(v) / len(v) if v else None for v in (ious, accuracies)]


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, 30, elements=st.integers(0, 3)),
    arrays(np.uint8, 30, elements=st.sampled_from([0, 1, 2, 3, 255])),
    st.sets(st.integers(0, 3)),
)
def test_scores_are_those_of_counting_pixel_by_pixel(predicted, truth, novel):
    halves = [confusion_matrix(predicted[part], truth[part], 4) for part in (np.s_[:11], np.s_[11:])]
    result = scores(sum(halves), NAMES, sorted(novel))
    pairs = [(int(p), int(t)) for p, t in zip(predicted, truth, strict=True) if t != 255]
    for name, chosen in (("novel", novel), ("base", {0, 1, 2, 3} - novel), ("all", {0, 1, 2, 3})):
        assert [result[name], result[f"{name}_acc"]] == pytest.approx(naive(pairs, chosen)), name
    if pairs:
        assert result["pixel_acc"] == pytest.approx(100 * sum(p == t for p, t in pairs) / len(pairs))
        weighted = [naive(pairs, [t])[0] for _, t in pairs]
        assert result["fw_iou"] == pytest.approx(sum(weighted) / len(pairs))


@pytest.mark.parametrize(
    ("predicted", "truth"), [([3], [0]), ([0], [3]), ([255], [0]), ([-1], [0]), ([1], [-1]), ([0, 1], [0])]
)
def test_ids_out_of_range_and_unequal_shapes_are_refused(predicted, truth):
    with pytest.raises(ValueError, match="class ids|differ in shape"):
        confusion_matrix(np.array(predicted), np.array(truth), 3)


@pytest.mark.parametrize(("predicted", "truth"), [([3], [0]), ([0], [3]), ([255], [0]), ([0], [254])])
def test_bytes_out_of_range_are_refused(predicted, truth):
    with pytest.raises(ValueError, match="class ids"):
        confusion_matrix(np.array(predicted, np.uint8), np.array(truth, np.uint8), 3)


def test_bytes_are_counted_as_other_integers_are():
    predicted, truth = np.random.default_rng(0).integers(0, 255, (2, 40, 50))
    truth[:4] = 255
    found = confusion_matrix(predicted.astype(np.uint8), truth.astype(np.uint8), 255)
    assert found.sum() == 2000 and np.array_equal(found, confusion_matrix(predicted, truth, 255))
    assert found[:, 255].sum() == 200
