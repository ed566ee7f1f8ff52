"""The mixed-label rule: U7 (SEAM, CPN), U6 (CONTA, RIB), E9 (RETAB)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from simformer.baselines.mixing import mix_scores

CLASSES = [1, 3, 4, 6]
NOVEL = [3, 6]


def example(seed: int = 0):
    """Scores of four classes on a coarse grid, and a label map with a not-base region."""
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.random((4, 3, 4)).astype(np.float32))
    masked = torch.from_numpy(rng.choice([1, 4, 255], size=(7, 9)).astype(np.uint8))
    return scores, masked


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), gamma=st.sampled_from([0.0, 0.1, 0.6, 0.95, 1.5]))
def test_u7_e9_the_rule_pixel_by_pixel(seed, gamma):
    scores, masked = example(seed)
    mixed = mix_scores(scores, CLASSES, masked, NOVEL, gamma)
    full = F.interpolate(scores[None], size=(7, 9), mode="bilinear", align_corners=False)[0]
    region = masked == 255
    highest = {c: full[CLASSES.index(c)][region].max() for c in NOVEL if region.any()}
    for y in range(7):
        for x in range(9):
            if not region[y, x]:
                assert mixed[y, x] == masked[y, x]
                continue
            z = {c: float(full[CLASSES.index(c), y, x] / highest[c]) for c in NOVEL}
            best = max(z, key=z.get)
            assert mixed[y, x] == (best if z[best] >= gamma else 255)
    assert (mixed.dtype, mixed.shape) == (torch.uint8, (7, 9))


def test_u7_gamma_zero_fills_the_region_and_above_one_leaves_it_empty():
    scores, masked = example()
    region = masked == 255
    assert set(mix_scores(scores, CLASSES, masked, NOVEL, 0.0)[region].tolist()) <= set(NOVEL)
    assert set(mix_scores(scores, CLASSES, masked, NOVEL, 1.01)[region].tolist()) == {255}


def test_u7_without_novel_classes_nothing_changes():
    scores, masked = example()
    assert torch.equal(mix_scores(scores, CLASSES, masked, [], 0.0), masked)
    base = torch.full((7, 9), 4, dtype=torch.uint8)
    assert torch.equal(mix_scores(scores, CLASSES, base, NOVEL, 0.0), base)


def test_e9_base_and_absent_classes_never_compete():
    scores, masked = example()
    louder = scores.clone()
    louder[[0, 2]] = 1e6
    more = torch.cat([louder, torch.full((1, 3, 4), 1e9)])
    assert torch.equal(
        mix_scores(more, [*CLASSES, 9], masked, NOVEL, 0.3), mix_scores(scores, CLASSES, masked, NOVEL, 0.3)
    )


def test_the_denominator_is_the_maximum_over_the_region_not_over_the_image():
    scores = torch.tensor([[[1.0, 0.1]], [[0.0, 0.09]]])
    masked = torch.tensor([[7, 255]], dtype=torch.uint8)
    assert mix_scores(scores, [1, 2], masked, [1, 2], 0.5)[0, 1] == 1
    assert mix_scores(scores, [1, 2], masked, [1], 0.5)[0, 1] == 1, "0.1 of the image's maximum, 1 of the region's"


def test_a_present_novel_class_without_scores_is_an_error():
    scores, masked = example()
    with pytest.raises(KeyError):
        mix_scores(scores, CLASSES, masked, [3, 5], 0.1)


def test_a_class_without_any_score_in_the_region_gets_nothing():
    scores = torch.zeros(2, 2, 2)
    scores[0] = 0.5
    masked = torch.full((2, 2), 255, dtype=torch.uint8)
    assert (mix_scores(scores, [1, 2], masked, [1, 2], 0.1) == 1).all()
    assert (mix_scores(scores, [1, 2], masked, [2], 0.1) == 255).all()
