"""Measures without a threshold, against their definitions in plain loops, with ties and with nothing to find."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.claims.measures import average_precision, precision_recall, recall_at_precision, roc_auc

MEASURES = [average_precision, roc_auc, lambda scores, truth: recall_at_precision(scores, truth, 0.5)]


def by_threshold(scores, truth):
    """Precision and recall of every threshold, falling, in a loop."""
    pairs = []
    for threshold in sorted(set(scores.tolist()), reverse=True):
        passed = scores >= threshold
        hits = sum(passed & truth)
        pairs.append((hits / sum(passed), hits / sum(truth)))
    return pairs


def with_ties(seed, n=40, levels=6):
    rng = np.random.default_rng(seed)
    return rng.integers(0, levels, n) / levels, rng.random(n) < 0.4


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), levels=st.sampled_from([2, 6, 1000]))
def test_measures_follow_their_definitions(seed, levels):
    scores, truth = with_ties(seed, levels=levels)
    truth[:2] = [True, False]
    expected = by_threshold(scores, truth)
    precision, recall, thresholds = precision_recall(scores, truth)
    assert np.stack([precision, recall], axis=1) == pytest.approx(np.array(expected))
    assert thresholds.tolist() == sorted(set(scores.tolist()), reverse=True)

    previous, area = 0.0, 0.0
    for p, r in expected:
        area, previous = area + p * (r - previous), r
    assert average_precision(scores, truth) == pytest.approx(area)
    for wanted in (0.3, 0.6, 1.0):
        assert recall_at_precision(scores, truth, wanted) == pytest.approx(
            max([r for p, r in expected if p >= wanted], default=0.0)
        )
    wins = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    assert roc_auc(scores, truth) == pytest.approx(np.mean(wins))


def test_equal_scores_say_nothing():
    truth = np.array([True, False, False, True, False])
    same = np.full(5, 0.7)
    assert average_precision(same, truth) == pytest.approx(0.4)
    assert roc_auc(same, truth) == 0.5
    # were ties broken by position, the order of the pixels would decide
    assert average_precision(same, truth[::-1]) == average_precision(same, truth)


def test_perfect_and_inverted_scores():
    truth = np.array([True, True, False, False])
    scores = np.array([0.9, 0.8, 0.2, 0.1])
    assert average_precision(scores, truth) == roc_auc(scores, truth) == 1.0
    assert roc_auc(-scores, truth) == 0.0
    assert recall_at_precision(scores, truth, 1.0) == 1.0
    assert recall_at_precision(-scores, truth, 0.6) == 0.0


@pytest.mark.parametrize("measure", MEASURES)
def test_nothing_true_has_no_value(measure):
    assert math.isnan(measure(np.array([0.1, 0.4]), np.array([False, False])))
    assert math.isnan(measure(np.zeros(0), np.zeros(0, bool)))


def test_everything_true():
    scores, truth = np.array([0.3, 0.3, 0.9]), np.ones(3, bool)
    assert average_precision(scores, truth) == 1.0
    assert recall_at_precision(scores, truth, 1.0) == 1.0
    assert math.isnan(roc_auc(scores, truth))


@pytest.mark.parametrize("measure", MEASURES)
def test_tensors_and_wrong_shapes(measure):
    scores, truth = with_ties(3)
    assert measure(torch.from_numpy(scores), torch.from_numpy(truth)) == measure(scores, truth)
    with pytest.raises(ValueError, match="of one length"):
        measure(scores[:5], truth)
    with pytest.raises(ValueError, match="finite"):
        measure(np.array([np.nan, 1.0]), np.array([True, False]))
