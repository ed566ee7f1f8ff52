"""Affinities of pairs and their loss: E6, E7 (RETAB), and the two kinds of affinity against double loops."""

import math

import pytest
import torch

from simformer.baselines.expansion.affinity import boundary_affinity, feature_affinity, pair_kinds, pair_loss
from simformer.baselines.expansion.stencil import Windows, half_disc, segment

OFFSETS = half_disc(5)


def pairs(height: int, width: int):
    """Every pair inside a grid as (offset's position, cell, partner)."""
    for o, (dy, dx) in enumerate(OFFSETS):
        for y in range(height):
            for x in range(width):
                if 0 <= y + dy < height and 0 <= x + dx < width:
                    yield o, (y, x), (y + dy, x + dx)


def test_affinity_of_features_is_the_exponential_of_the_mean_difference():
    features = torch.randn(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    found = feature_affinity(features, OFFSETS)
    assert found.shape == (2, 34, 6, 7)
    for o, i, j in pairs(6, 7):
        expected = torch.exp(-(features[:, :, *i] - features[:, :, *j]).abs().mean(dim=1))
        assert torch.allclose(found[:, o, *i], expected)


def test_affinity_of_a_boundary_map_is_one_minus_the_highest_on_the_way():
    boundary = torch.rand(2, 6, 7, generator=torch.Generator().manual_seed(0))
    found = boundary_affinity(boundary, OFFSETS)
    for o, i, j in pairs(6, 7):
        way = [(i[0] + y, i[1] + x) for y, x in segment((j[0] - i[0], j[1] - i[1]))]
        assert torch.allclose(found[:, o, *i], 1 - torch.stack([boundary[:, *cell] for cell in way]).amax(dim=0))


def test_the_gradient_through_a_boundary_map_is_that_of_autograd_to_the_last_bit():
    """Trainings repeat older ones bit for bit; equal values on the way, which share the gradient, are among these."""
    logits = torch.randn(2, 6, 7, generator=torch.Generator().manual_seed(0)).mul(3).round().div(3)
    weights = torch.rand(2, len(OFFSETS), 6, 7, generator=torch.Generator().manual_seed(1))
    gradients = []
    for highest in (
        lambda b: 1 - boundary_affinity(b, OFFSETS),
        lambda b: torch.stack([_highest(b, offset) for offset in OFFSETS], dim=1),
    ):
        leaf = logits.clone().requires_grad_()
        (highest(leaf.sigmoid()) * weights).sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


def _highest(boundary: torch.Tensor, offset: tuple[int, int]) -> torch.Tensor:
    return torch.stack([Windows(boundary, (cell,), 0.0)[cell] for cell in segment(offset)]).amax(dim=0)


@pytest.mark.parametrize(("kind", "shape"), [(feature_affinity, (1, 2, 3, 4)), (boundary_affinity, (1, 3, 4))])
def test_training_has_the_gradient_of_the_plain_computation(kind, shape):
    grid = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    with torch.no_grad():
        plain = kind(grid, OFFSETS)
    assert torch.equal(kind(grid, OFFSETS), plain)
    assert torch.autograd.gradcheck(lambda g: kind(g, OFFSETS[3:6]), grid)


def test_e6_pair_kinds_against_a_double_loop():
    cells = torch.randint(0, 3, (2, 9, 9), generator=torch.Generator().manual_seed(1))
    cells[torch.rand(cells.shape, generator=torch.Generator().manual_seed(2)) < 0.2] = 255
    same, different = pair_kinds(cells, OFFSETS)
    expected = torch.zeros(2, 2, 34, 9, 9, dtype=torch.bool)
    for o, i, j in pairs(9, 9):
        for b in range(2):
            one, other = int(cells[b, *i]), int(cells[b, *j])
            if 255 not in (one, other):
                expected[int(one != other), b, o, *i] = True
    assert torch.equal(same, expected[0]) and torch.equal(different, expected[1])


def test_e7_each_term_by_hand_on_three_cells():
    """A row of three cells, affinities .9 (same), .4 (different), .2 (different)."""
    affinity = torch.tensor([0.9, 0.4, 0.2])[None, :, None, None]
    same = torch.tensor([True, False, False])[None, :, None, None]
    attract = -math.log(0.9 + 1e-5) / (1 + 1e-5)
    repel = -(math.log(1 + 1e-5 - 0.4) + math.log(1 + 1e-5 - 0.2)) / (2 + 1e-5)
    assert pair_loss(affinity, [same], ~same).item() == pytest.approx((attract + repel) / 2, rel=1e-6)


def test_e7_groups_share_their_half_and_an_empty_one_hands_its_share_on():
    affinity = torch.tensor([0.9, 0.4, 0.2])[None, :, None, None]
    first, second, negative = (row[None, :, None, None] for row in torch.eye(3).bool())
    none = torch.zeros_like(first)
    logs = [-math.log(0.9 + 1e-5) / (1 + 1e-5), -math.log(0.4 + 1e-5) / (1 + 1e-5)]
    repel = -math.log(1 + 1e-5 - 0.2) / (1 + 1e-5)
    assert pair_loss(affinity, [first, second], negative).item() == pytest.approx(sum(logs) / 4 + repel / 2, rel=1e-6)
    assert pair_loss(affinity, [first, none], negative).item() == pytest.approx(logs[0] / 2 + repel / 2, rel=1e-6)
    assert pair_loss(affinity, [none, none], negative).item() == pytest.approx(repel / 2, rel=1e-6)
    assert pair_loss(affinity, [first], none).item() == pytest.approx(logs[0] / 2, rel=1e-6)
    assert pair_loss(affinity, [none], none).item() == 0


def test_the_loss_pulls_pairs_of_one_class_together_and_others_apart():
    torch.manual_seed(0)
    cells = torch.tensor([[[0, 0, 0, 1, 1, 1, 255]]]).expand(1, 4, 7)
    features = torch.randn(1, 4, 4, 7, requires_grad=True)
    start = features[..., 6].detach().clone()
    optimizer = torch.optim.Adam([features], lr=0.08)
    offsets = half_disc(3)
    same, different = pair_kinds(cells, offsets)
    for _ in range(40):
        optimizer.zero_grad()
        pair_loss(feature_affinity(features, offsets), [same], different).backward()
        optimizer.step()
    affinity = feature_affinity(features.detach(), offsets)
    assert affinity[same].mean() > 0.7 and affinity[different].mean() < 0.2
    assert torch.equal(features[..., 6], start), "unlabelled cells teach nothing"
