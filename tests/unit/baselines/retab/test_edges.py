"""E8: edges of base masks, and the loss that balances them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.baselines.retab.edges import base_edges, edge_loss

NOWHERE = torch.zeros(1, 24, 24, dtype=torch.bool)


def not_base() -> torch.Tensor:
    return torch.full((1, 24, 24), 255, dtype=torch.uint8)


def test_e8_a_square_in_the_not_base_region_has_a_ring_of_width_rho_on_both_sides():
    labels = not_base()
    labels[0, 8:16, 8:16] = 3
    edges, known = base_edges(labels, NOWHERE, 2)
    ring = torch.zeros(24, 24, dtype=torch.bool)
    ring[6:18, 6:18] = True
    ring[10:14, 10:14] = False
    assert torch.equal(edges[0], ring)
    assert torch.equal(known[0], ring | (labels[0] == 3)), "inside R, away from base, nothing is known"


def test_e8_two_novel_objects_that_touch_are_neither_positive_nor_in_the_loss():
    truth = torch.full((1, 24, 24), 1, dtype=torch.uint8)
    truth[:, :, 4:] = 7
    truth[:, :, 14:] = 9  # 7 and 9 are novel and touch at column 14
    labels = truth.masked_fill(truth > 1, 255)
    edges, known = base_edges(labels, NOWHERE, 2)
    assert edges[0, :, 2:6].all() and not edges[0, :, 6:].any()
    assert not known[0, :, 6:].any()
    elsewhere = torch.zeros(1, 24, 24)
    elsewhere[:, :, 8:] = 50.0
    assert edge_loss(elsewhere, edges, known) == edge_loss(torch.zeros(1, 24, 24), edges, known)


def test_e8_neither_the_border_of_the_image_nor_padding_is_an_edge():
    labels = torch.full((1, 24, 24), 3, dtype=torch.uint8)
    edges, known = base_edges(labels, NOWHERE, 2)
    assert not edges.any() and known.all()
    padding = NOWHERE.clone()
    padding[:, 15:] = padding[:, :, :4] = True
    edges, known = base_edges(labels.masked_fill(padding, 255), padding, 2)
    assert not edges.any()
    assert torch.equal(known, ~padding)
    edges, _ = base_edges(labels.masked_fill(padding, 255), NOWHERE, 2)
    assert edges.any(), "the negative control: not told what is padding, it would find edges there"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), reach=st.integers(1, 3))
def test_e8_pixel_by_pixel(seed, reach):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([1, 4, 255])[torch.randint(0, 3, (1, 3, 4), generator=generator)].to(torch.uint8)
    labels = labels.repeat_interleave(3, 1).repeat_interleave(3, 2)
    padding = torch.zeros_like(labels, dtype=torch.bool)
    padding[:, 7:] = True
    labels = labels.masked_fill(padding, 255)
    edges, known = base_edges(labels, padding, reach)
    for y in range(9):
        for x in range(12):
            near = [
                int(labels[0, v, u])
                for v in range(max(0, y - reach), min(7, y + reach + 1))
                for u in range(max(0, x - reach), min(12, x + reach + 1))
            ]
            mine = int(labels[0, y, x])
            expected = y < 7 and any(other != mine and (other < 255 or mine < 255) for other in near)
            assert edges[0, y, x] == expected
            assert known[0, y, x] == (y < 7 and (expected or mine < 255))


def test_e7_both_halves_of_the_edge_loss_are_means_and_an_empty_one_is_zero():
    logits = torch.tensor([[[2.0, -1.0, 0.5, 9.0]]])
    edges = torch.tensor([[[True, False, False, False]]])
    known = torch.tensor([[[True, True, True, False]]])
    positive = math.log1p(math.exp(-2.0))
    negative = (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(0.5))) / 2
    assert edge_loss(logits, edges, known).item() == pytest.approx(positive + negative, rel=1e-6)
    assert edge_loss(logits, edges & False, known & False).item() == 0
    assert edge_loss(logits, edges, edges).item() == pytest.approx(positive, rel=1e-6)
