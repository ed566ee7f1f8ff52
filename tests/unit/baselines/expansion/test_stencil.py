"""U6, E6: the stencil holds every pair of near cells exactly once."""

import math

import pytest
import torch

from simformer.baselines.expansion.stencil import Windows, half_disc, segment


@pytest.mark.parametrize(("radius", "count"), [(5, 34), (10, 152)])
def test_u6_the_half_disc_has_the_published_number_of_offsets(radius, count):
    assert len(half_disc(radius)) == count


def test_psa_lists_its_offsets_by_rows():
    """PSA: (0, 1..4), and dy 1..4 with |dx| <= 4 inside the circle."""
    rows = {dy: [dx for y, dx in half_disc(5) if y == dy] for dy in range(5)}
    assert rows[0] == [1, 2, 3, 4]
    assert rows[1] == rows[2] == list(range(-4, 5))
    assert rows[3] == list(range(-3, 4))
    assert rows[4] == list(range(-2, 3))


def test_e6_every_unordered_pair_inside_the_grid_comes_exactly_once():
    height, width = 9, 7
    cells = torch.arange(height * width).reshape(height, width)
    found, at = [], Windows(cells, half_disc(5), -1)
    for offset in half_disc(5):
        partner = at[offset]
        inside = partner >= 0
        found += list(zip(cells[inside].tolist(), partner[inside].tolist(), strict=True))
    places = [divmod(i, width) for i in range(height * width)]
    near = {(i, j) for i, p in enumerate(places) for j, q in enumerate(places) if i < j and math.dist(p, q) < 5}
    assert sorted(found) == sorted(near)


@pytest.mark.parametrize("offset", [(0, 0), (2, -3), (-1, 4), (0, 1), (9, 9)])
def test_a_window_looks_at_the_partner(offset):
    grid = torch.arange(20.0).reshape(4, 5)
    result = Windows(grid, (offset,), -1.0)[offset]
    for y in range(4):
        for x in range(5):
            v, u = y + offset[0], x + offset[1]
            assert result[y, x] == (grid[v, u] if 0 <= v < 4 and 0 <= u < 5 else -1.0)


def test_a_margin_for_far_offsets_serves_near_and_opposite_ones():
    grid, offsets = torch.arange(40.0).reshape(2, 4, 5), half_disc(4)
    at = Windows(grid, offsets, -1.0)
    for dy, dx in offsets:
        for offset in ((dy, dx), (-dy, -dx), (0, 0)):
            assert torch.equal(at[offset], Windows(grid, (offset,), -1.0)[offset])


def test_the_way_to_a_partner_is_a_thin_line_in_its_bounding_box():
    cells = [(y, x) for y in range(10) for x in range(-9, 10)]
    for dy, dx in half_disc(10):
        box = [(y, x) for y, x in cells if y <= dy and min(0, dx) <= x <= max(0, dx)]
        near = [c for c in box if abs(dy * c[1] - dx * c[0]) / math.hypot(dy, dx) < 1 - 1e-12]
        assert sorted(segment((dy, dx))) == sorted(near) and {(0, 0), (dy, dx)} <= set(near)
