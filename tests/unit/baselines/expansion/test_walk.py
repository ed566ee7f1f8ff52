"""The random walk: U6 (SEAM), U1 (IRN), E1 to E5 (RETAB)."""

import pytest
import torch

from simformer.baselines.expansion.stencil import Windows, half_disc
from simformer.baselines.expansion.walk import transition, walk

OFFSETS = half_disc(5)


def random_affinity(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(len(OFFSETS), height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_scores(height: int, width: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(channels, height, width, dtype=torch.float64, generator=generator)


def dense_transition(affinity, beta, send=None, receive=None) -> torch.Tensor:
    """T as an N x N matrix, by double loop over cells and offsets."""
    _, height, width = affinity.shape
    ones = torch.ones(height, width, dtype=affinity.dtype)
    send, receive = (ones if gate is None else gate.to(affinity.dtype) for gate in (send, receive))
    weight = torch.eye(height * width, dtype=affinity.dtype)
    for o, (dy, dx) in enumerate(OFFSETS):
        for y in range(height):
            for x in range(width):
                v, u = y + dy, x + dx
                if 0 <= v < height and 0 <= u < width:
                    i, j, a = y * width + x, v * width + u, affinity[o, y, x] ** beta
                    weight[i, j] = a * send[y, x] * receive[v, u]
                    weight[j, i] = a * send[v, u] * receive[y, x]
    return weight / weight.sum(dim=0)


def dense_walk(scores, matrix, steps) -> torch.Tensor:
    return (scores.flatten(1) @ torch.linalg.matrix_power(matrix, steps)).reshape(scores.shape)


@pytest.mark.parametrize("gated", [False, True])
def test_e1_u1_equal_to_the_power_of_the_dense_matrix_to_1e_10(gated):
    affinity, scores = 0.5 * random_affinity(13, 15), random_scores(13, 15)
    gates = [torch.rand(13, 15, generator=torch.Generator().manual_seed(s)) > 0.4 for s in (2, 3)] if gated else []
    found = walk(scores, transition(affinity, OFFSETS, 8, *gates), 256)
    matrix = dense_transition(affinity, 8, *gates)
    assert (found - dense_walk(scores, matrix, 256)).abs().max() < 1e-10
    assert (found - dense_walk(scores, matrix, 255)).abs().max() > 1e-6, "the negative control"


def test_e2_columns_of_t_sum_to_one_and_no_range_grows():
    scores = random_scores(9, 12)
    matrix = transition(random_affinity(9, 12), OFFSETS, 8)
    assert matrix.to_dense().sum(dim=1) == pytest.approx(1, abs=1e-14)
    low, high = scores.flatten(1).amin(dim=1), scores.flatten(1).amax(dim=1)
    for steps in (1, 2, 20):
        flat = walk(scores, matrix, steps).flatten(1)
        assert (flat.amin(dim=1) >= low - 1e-14).all() and (flat.amax(dim=1) <= high + 1e-14).all()
    constant = torch.full((1, 9, 12), 0.3, dtype=torch.float64)
    assert walk(constant, matrix, 64) == pytest.approx(constant, abs=1e-13)


def two_stages(affinity, m, scores, steps=32):
    first = walk(scores, transition(affinity, OFFSETS, 8, send=m, receive=m), steps)
    return first, walk(first, transition(affinity, OFFSETS, 8, receive=~m), steps)


def test_e3_with_all_or_no_cells_gated_the_two_stages_are_plain_psa_and_the_identity():
    affinity, scores = random_affinity(8, 9), random_scores(8, 9)
    plain = walk(scores, transition(affinity, OFFSETS, 8), 32)
    everywhere = torch.ones(8, 9, dtype=torch.bool)
    first, second = two_stages(affinity, everywhere, scores)
    assert torch.equal(first, plain) and torch.equal(second, plain)
    first, second = two_stages(affinity, ~everywhere, scores)
    assert torch.equal(first, scores) and torch.equal(second, plain)


def test_e4_each_stage_leaves_the_cells_of_the_other_one_alone():
    affinity, scores = random_affinity(8, 9), random_scores(8, 9)
    m = torch.rand(8, 9, generator=torch.Generator().manual_seed(4)) > 0.5
    first, second = two_stages(affinity, m, scores)
    assert torch.equal(first[:, ~m], scores[:, ~m]) and not torch.equal(first[:, m], scores[:, m])
    assert torch.equal(second[:, m], first[:, m]) and not torch.equal(second[:, ~m], first[:, ~m])


def perfect_affinity(regions: torch.Tensor) -> torch.Tensor:
    """1 between cells of one region, else 0."""
    at = Windows(regions, OFFSETS, -1)
    return torch.stack([regions == at[offset] for offset in OFFSETS]).double()


def test_e5_u6_a_seed_fills_its_own_region_and_nothing_else():
    regions = torch.zeros(10, 12, dtype=torch.int64)
    regions[:, 5:] = 1
    seed = torch.zeros(1, 10, 12, dtype=torch.float64)
    seed[0, 2, 1] = 1
    filled = walk(seed, transition(perfect_affinity(regions), OFFSETS, 8), 3000)[0]
    assert (filled[regions == 1] == 0).all()
    inside = filled[regions == 0]
    assert inside.min() > 0.3 * inside.max() > 0, "spread over its region (more where cells have more neighbours)"


def test_e5_a_boundary_ring_receives_only_from_its_own_side():
    regions = torch.zeros(12, 12, dtype=torch.int64)
    regions[:, 6:] = 1
    ring = torch.zeros(12, 12, dtype=torch.bool)
    ring[:, 5:7] = True
    scores = torch.stack([regions == 0, regions == 1]).double() * ~ring
    _, second = two_stages(perfect_affinity(regions), ~ring, scores)
    assert (second.argmax(dim=0) == regions).all()
    assert (second[1][regions == 0] == 0).all() and (second[0][regions == 1] == 0).all()


def test_u6_without_affinity_nothing_moves():
    scores = random_scores(6, 7)
    assert torch.equal(walk(scores, transition(torch.zeros(34, 6, 7).double(), OFFSETS, 8), 64), scores)


def test_partners_outside_the_grid_are_not_looked_at():
    affinity, scores = random_affinity(6, 7), random_scores(6, 7)
    spoilt = affinity.clone()
    for i, offset in enumerate(OFFSETS):
        spoilt[i][Windows(torch.ones(6, 7), OFFSETS, 0.0)[offset] == 0] = 123.0
    assert torch.equal(
        walk(scores, transition(spoilt, OFFSETS, 8), 5), walk(scores, transition(affinity, OFFSETS, 8), 5)
    )


def test_e11_a_mirrored_image_gives_mirrored_scores():
    affinity, scores = random_affinity(9, 11), random_scores(9, 11)
    mirrored = torch.zeros_like(affinity)
    position = {offset: i for i, offset in enumerate(OFFSETS)}
    for i, (dy, dx) in enumerate(OFFSETS):
        if (dy, -dx) in position:
            mirrored[position[dy, -dx]] = affinity[i].flip(-1)
        else:  # (0, dx): the pair is stored at its left cell
            mirrored[i] = Windows(affinity[i], ((0, dx),), 0.0)[0, -dx].flip(-1)
    plain = walk(scores, transition(affinity, OFFSETS, 8), 40)
    other = walk(scores.flip(-1), transition(mirrored, OFFSETS, 8), 40)
    assert (other.flip(-1) - plain).abs().max() < 1e-13
