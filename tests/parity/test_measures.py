"""Average precision and ROC area of baselines' maps against scikit-learn, with ties."""

import numpy as np
import pytest

from simformer.claims.measures import average_precision, precision_recall, roc_auc

sklearn = pytest.importorskip("sklearn.metrics", reason="independent metrics: pip install -e '.[parity]'")


@pytest.mark.parametrize("levels", [2, 7, 10**6])
@pytest.mark.parametrize("seed", range(4))
def test_areas_equal_those_of_scikit_learn(seed, levels):
    rng = np.random.default_rng([seed, levels])
    scores, truth = rng.integers(0, levels, 500) / levels, rng.random(500) < 0.3
    assert average_precision(scores, truth) == pytest.approx(sklearn.average_precision_score(truth, scores), rel=1e-12)
    assert roc_auc(scores, truth) == pytest.approx(sklearn.roc_auc_score(truth, scores), rel=1e-12)
    precision, recall, thresholds = precision_recall(scores, truth)
    theirs = sklearn.precision_recall_curve(truth, scores)
    assert precision[::-1] == pytest.approx(theirs[0][:-1])
    assert recall[::-1] == pytest.approx(theirs[1][:-1])
    assert np.array_equal(thresholds[::-1], theirs[2])
