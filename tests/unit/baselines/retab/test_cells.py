"""E6, E7: what the affinity network learns from, against brute force and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.baselines.expansion.affinity import pair_loss
from simformer.baselines.expansion.stencil import half_disc
from simformer.baselines.retab.cells import UNKNOWN, base_and_seeds, pair_groups, retab_cells
from simformer.data.images import read_label

NOVEL = (6, 8)


def kind(first: int, second: int) -> str | None:
    """The group of a pair, after the specification's words."""
    if 255 in (first, second):
        return None
    base = [label < 255 and label not in NOVEL for label in (first, second)]
    if UNKNOWN in (first, second):
        return "negative" if any(base) else None
    if first != second:
        return "negative"
    return "b" if base[0] else "n"


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_e6_pairs_of_a_grid_of_9_by_9_against_a_double_loop(seed):
    generator, offsets = torch.Generator().manual_seed(seed), half_disc(5)
    choices = torch.tensor([1, 2, 6, 8, 255, UNKNOWN], dtype=torch.int16)
    cells = choices[torch.randint(0, 6, (1, 9, 9), generator=generator)]
    (base, novel), negative = pair_groups(cells, offsets, NOVEL)
    assert len(offsets) == 34
    counts = dict.fromkeys(("b", "n", "negative"), 0)
    for y in range(9):
        for x in range(9):
            for o, (dy, dx) in enumerate(offsets):
                v, u = y + dy, x + dx
                inside = 0 <= v < 9 and 0 <= u < 9
                expected = kind(int(cells[0, y, x]), int(cells[0, v, u])) if inside else None
                found = [name for name, group in zip(counts, (base, novel, negative), strict=True) if group[0, o, y, x]]
                assert found == ([] if expected is None else [expected])
                if expected:
                    counts[expected] += 1
    assert all(counts.values())


def test_e6_every_pair_within_reach_exactly_once():
    offsets = half_disc(5)
    pairs = [
        frozenset([(y, x), (y + dy, x + dx)])
        for y in range(9)
        for x in range(9)
        for dy, dx in offsets
        if 0 <= y + dy < 9 and 0 <= x + dx < 9
    ]
    near = {
        frozenset([(y, x), (v, u)])
        for y in range(9)
        for x in range(9)
        for v in range(9)
        for u in range(9)
        if 0 < (y - v) ** 2 + (x - u) ** 2 < 25
    }
    assert len(pairs) == len(set(pairs)) and set(pairs) == near


def test_e6_cells_by_majority_with_ties_seeds_unknown_and_padding():
    labels = torch.full((1, 16, 32), 255, dtype=torch.uint8)
    padding = torch.zeros(1, 16, 32, dtype=torch.bool)
    labels[0, :8, :8] = 3  # base
    labels[0, :8, 8:12], labels[0, :8, 12:16] = 3, 255  # half base, half not: a tie
    labels[0, :5, 16:24] = 6  # 40 of 64 pixels are a seed
    labels[0, :4, 24:32] = 8  # 32 of 64 pixels: no majority of a seed, all of it is not base
    labels[0, 8:13, :8], labels[0, 13:16, :8] = 6, 3  # mostly seed beside base
    labels[0, 8:, 8:12], labels[0, 8:, 12:16] = 6, 8  # two seeds: not base, identity unknown
    padding[0, 8:, 16:24] = True
    labels[0, 8:12, 24:], labels[0, 12:, 24:] = 3, 1  # two base classes
    cells = retab_cells(labels, padding, NOVEL)
    assert cells.tolist() == [[[3, 255, 6, UNKNOWN], [6, UNKNOWN, 255, 255]]]


def test_cells_beyond_the_crop_are_nothing():
    labels = torch.full((1, 12, 20), 255, dtype=torch.uint8)
    cells = retab_cells(labels, torch.zeros(1, 12, 20, dtype=torch.bool), NOVEL)
    assert cells.tolist() == [[[UNKNOWN, UNKNOWN, 255], [255, 255, 255]]], "half a block is no majority"


def affinities(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1)


def test_e7_quarter_quarter_half_and_what_an_empty_group_leaves():
    a = affinities(0.5, 0.25, 0.8)
    first, second, third = (torch.tensor([i == j for j in range(3)]).view(1, 3, 1, 1) for i in range(3))
    none = first & False
    terms = -math.log(0.5), -math.log(0.25), -math.log(0.2)
    full = pair_loss(a, (first, second), third).item()
    assert full == pytest.approx(terms[0] / 4 + terms[1] / 4 + terms[2] / 2, abs=1e-4)
    assert pair_loss(a, (first, none), third).item() == pytest.approx(terms[0] / 2 + terms[2] / 2, abs=1e-4)
    assert pair_loss(a, (none, second), third).item() == pytest.approx(terms[1] / 2 + terms[2] / 2, abs=1e-4)
    assert pair_loss(a, (first, second), none).item() == pytest.approx(terms[0] / 4 + terms[1] / 4, abs=1e-4)
    assert pair_loss(a, (none, none), none).item() == 0


def test_e7_groups_are_means_not_sums():
    a = affinities(0.5, 0.5, 0.5, 0.25)
    first = torch.tensor([True, True, True, False]).view(1, 4, 1, 1)
    assert pair_loss(a, (first, ~first), first & False).item() == pytest.approx(
        -math.log(0.5) / 4 - math.log(0.25) / 4, abs=1e-4
    )


def test_seeds_stay_where_a_present_novel_class_wins_in_r_away_from_boundaries():
    masked = np.array([[255, 255, 255, 255, 3]], np.uint8)
    seeds = np.array([[6, 8, 1, 6, 6]], np.uint8)  # 8 is not of this image, 1 is base
    boundary = np.array([[False, False, False, True, False]])
    assert base_and_seeds(masked, seeds, boundary, [6]).tolist() == [[6, 255, 255, 255, 3]]


def test_the_label_set_keeps_every_base_pixel(masked, retab, stages):
    names = {image.name for image in retab.seeds.images}
    seeded = {image.name: image for image in stages.seeds.images}
    assert retab.seeds.novel == ()
    for image in masked.images:
        base = read_label(masked.label_path(image))
        if image.name not in names:
            assert (base == 255).all()
            continue
        joined = read_label(retab.seeds.root / image.label)
        assert np.array_equal(joined[base != 255], base[base != 255])
        found = joined[(base == 255) & (joined != 255)]
        assert set(found.tolist()) <= set(masked.novel_labels(image))
        if len(found):
            before = read_label(stages.seeds.label_path(seeded[image.name]))
            chosen = (base == 255) & (joined != 255)
            assert np.array_equal(joined[chosen], before[chosen])
            boundary = retab.boundaries.read(image.name).at_size(*base.shape)[0].numpy() >= 0.5
            assert not (chosen & boundary).any()
