"""Confusion matrix and IoU against scikit-learn and torchmetrics: ignored pixels, absent classes, nothing at all."""

import numpy as np
import pytest
import torch

import simformer.models.torchvision_ops  # noqa: F401 (first: torchmetrics imports torchvision, see there)
from simformer.config.settings import IGNORE
from simformer.metrics import confusion_matrix, scores

sklearn = pytest.importorskip("sklearn.metrics", reason="independent metrics: pip install -e '.[parity]'")
torchmetrics = pytest.importorskip(
    "torchmetrics.classification", reason="independent metrics: pip install -e '.[parity]'"
)

CLASSES = 9


def random_maps(seed, known, predicted, ignored):
    """Truth with ids from `known` and a share of ignored pixels, a prediction with ids from `predicted`."""
    generator = np.random.default_rng(seed)
    truth = generator.choice(np.array(known, np.uint8), (40, 31))
    truth[generator.random(truth.shape) < ignored] = IGNORE
    return generator.choice(np.array(predicted, np.uint8), truth.shape), truth


ALL = list(range(CLASSES))
CASES = {
    "random": random_maps(0, ALL, ALL, 0.0),
    "ignored pixels": random_maps(1, ALL, ALL, 0.3),
    "classes absent from the truth": random_maps(2, [0, 3, 8], ALL, 0.3),
    "classes absent from the prediction": random_maps(3, ALL, [1, 8], 0.3),
    "classes absent from both": random_maps(4, [0, 3], [3, 5], 0.3),
    "nothing right": random_maps(5, [0, 1], [2, 3], 0.3),
    "all ignored": random_maps(6, ALL, ALL, 1.1),
    "one pixel": (np.array([[2]], np.uint8), np.array([[2]], np.uint8)),
}
CASES["perfect"] = (CASES["random"][1], CASES["random"][1])
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def our_iou(predicted, truth):
    """IoU of all classes between 0 and 1, NaN for classes that are absent from the truth."""
    names = [str(c) for c in ALL]
    percent = scores(confusion_matrix(predicted, truth, CLASSES), names, novel=())["iou"]
    return np.array([np.nan if percent[name] is None else percent[name] / 100 for name in names])


@each_case
def test_confusion_matrix(case):
    predicted, truth = case
    ours = confusion_matrix(predicted, truth, CLASSES)
    known = truth != IGNORE
    assert ours.sum() == truth.size and ours[:, -1].sum() == (~known).sum()
    if known.any():  # scikit-learn refuses to count nothing
        theirs = sklearn.confusion_matrix(truth[known], predicted[known], labels=ALL)
        assert np.array_equal(ours[:-1, :-1], theirs.T)
    metric = torchmetrics.MulticlassConfusionMatrix(CLASSES, ignore_index=IGNORE)
    theirs = metric(torch.from_numpy(predicted).int(), torch.from_numpy(truth).int())
    assert np.array_equal(ours[:-1, :-1], theirs.numpy().T)


@each_case
def test_iou_of_each_class(case):
    predicted, truth = case
    known, present = truth != IGNORE, np.isin(ALL, truth)
    ours = our_iou(predicted, truth)
    assert np.array_equal(~np.isnan(ours), present)
    if present.any():
        theirs = sklearn.jaccard_score(truth[known], predicted[known], labels=ALL, average=None, zero_division=0)
        np.testing.assert_allclose(ours[present], theirs[present], rtol=1e-12)
    metric = torchmetrics.MulticlassJaccardIndex(CLASSES, average=None, ignore_index=IGNORE)
    theirs = metric(torch.from_numpy(predicted).int(), torch.from_numpy(truth).int()).numpy()
    np.testing.assert_allclose(ours[present], theirs[present], rtol=1e-6)


@each_case
def test_mean_iou_accuracy_and_pixel_accuracy(case):
    """Means over the classes of the truth, some of them novel."""
    predicted, truth = case
    known, novel = truth != IGNORE, [3, 8]
    found = scores(confusion_matrix(predicted, truth, CLASSES), [str(c) for c in ALL], novel)
    for name, group in (("novel", novel), ("base", sorted(set(ALL) - set(novel))), ("all", ALL)):
        labels = [c for c in group if c in truth]
        if not labels:
            assert found[name] is found[f"{name}_acc"] is None
            continue
        arguments = dict(y_true=truth[known], y_pred=predicted[known], labels=labels, average="macro", zero_division=0)
        assert found[name] == pytest.approx(100 * sklearn.jaccard_score(**arguments), rel=1e-12)
        assert found[f"{name}_acc"] == pytest.approx(100 * sklearn.recall_score(**arguments), rel=1e-12)
    expected = 100 * sklearn.accuracy_score(truth[known], predicted[known]) if known.any() else None
    assert found["pixel_acc"] == (pytest.approx(expected, rel=1e-12) if known.any() else None)
