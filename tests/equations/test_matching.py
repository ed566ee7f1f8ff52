"""Bipartite matching against brute force, and its corner cases."""

import itertools

import pytest
import torch

from simformer.config.settings import MatchingSettings
from simformer.data.targets import make_target
from simformer.losses.matching import match, matching_costs

SETTINGS = MatchingSettings()


def pairs_of(matches, layer, image, targets):
    """Query -> class id of one layer and image."""
    here = (matches.layer == layer) & (matches.image == image)
    start = sum(len(t.class_ids) for t in targets[:image])
    columns = matches.row[here] - start
    assert torch.equal(targets[image].class_ids[columns], matches.class_id[here])
    return dict(zip(matches.query[here].tolist(), columns.tolist(), strict=True))


def costs_of(output, targets, image, settings):
    """Costs of one image, [L, N, M]."""
    costs = matching_costs(output.class_logits, output.mask_logits, targets, settings)
    return costs[:, image, :, : len(targets[image].class_ids)]


def test_costs_equal_a_plain_loop(new_batch, slow):
    output, targets = new_batch()
    settings = MatchingSettings(cls=1.5, focal=7.0, dice=0.3)
    for image, target in enumerate(targets):
        cost = costs_of(output, targets, image, settings)
        probability = output.class_logits[:, image].softmax(-1)
        for layer, query, column in itertools.product(range(3), range(10), range(len(target.class_ids))):
            mask = target.masks[column, ::4, ::4].flatten().tolist()
            logits = output.mask_logits[layer, image, query].flatten().tolist()
            expected = -1.5 * probability[layer, query, target.class_ids[column]].item()
            if any(mask):
                expected += 7.0 * slow.focal(logits, mask) + 0.3 * slow.dice(logits, mask)
            assert cost[layer, query, column].item() == pytest.approx(expected, abs=1e-5)


def test_assignment_is_the_cheapest_of_all(new_batch):
    output, targets = new_batch(queries=5)
    matches = match(output.class_logits, output.mask_logits, targets, SETTINGS)
    for image, target in enumerate(targets):
        costs = costs_of(output, targets, image, SETTINGS)
        columns = range(len(target.class_ids))
        for layer in range(3):
            found = pairs_of(matches, layer, image, targets)
            total = sum(costs[layer, q, t].item() for q, t in found.items())
            if len(columns) <= 5:
                options = itertools.permutations(range(5), len(columns))
                best = min(sum(costs[layer, q, t].item() for t, q in enumerate(o)) for o in options)
            else:
                options = itertools.permutations(columns, 5)
                best = min(sum(costs[layer, q, t].item() for q, t in enumerate(o)) for o in options)
            assert len(found) == min(5, len(columns))
            assert total == pytest.approx(best, abs=1e-5)


def test_sets_of_pairs(new_batch, blank_target):
    output, targets = new_batch(images=4, labels=[4, 6])
    targets[2] = blank_target
    matches = match(output.class_logits, output.mask_logits, targets, SETTINGS)
    has_mask = torch.cat([t.has_mask for t in targets])[matches.row]
    assert torch.equal(matches.with_mask, has_mask.nonzero().flatten())
    listed = matches.label_only[matches.label_only >= 0]
    assert sorted(listed.tolist()) == (~has_mask).nonzero().flatten().tolist()
    for row in matches.label_only:
        positions = row[row >= 0]
        assert len(positions) == 2
        assert len({(int(matches.layer[p]), int(matches.image[p])) for p in positions}) == 1
    assert (matches.image != 2).all()
    assert matches.base_ids[2] == frozenset() == matches.novel_ids[2]
    assert matches.novel_ids[0] == {4, 6}
    assert matches.base_ids[0] == set(targets[0].class_ids[targets[0].has_mask].tolist())


def test_only_blank_images(new_batch, blank_target):
    output, _ = new_batch(images=2)
    matches = match(output.class_logits, output.mask_logits, [blank_target, blank_target], SETTINGS)
    assert len(matches.query) == len(matches.with_mask) == len(matches.label_only) == 0


def test_more_classes_than_queries(new_batch):
    output, targets = new_batch(queries=2, labels=[4, 5, 6])
    matches = match(output.class_logits, output.mask_logits, targets, SETTINGS)
    for layer, image in itertools.product(range(3), range(4)):
        found = pairs_of(matches, layer, image, targets)
        assert sorted(found) == [0, 1] and len(set(found.values())) == 2


def test_permuting_queries_permutes_the_matching(new_batch):
    output, targets = new_batch(queries=9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    plain = match(output.class_logits, output.mask_logits, targets, SETTINGS)
    permuted = match(output.class_logits[:, :, order], output.mask_logits[:, :, order], targets, SETTINGS)
    for layer, image in itertools.product(range(3), range(4)):
        mapped = {int(order[q]): t for q, t in pairs_of(permuted, layer, image, targets).items()}
        assert mapped == pairs_of(plain, layer, image, targets)


def test_released_column_order_shifts_classes_behind_a_vanished_mask(new_batch):
    """Class 0 is one pixel that the grid misses: its column moves to the end."""
    output, _ = new_batch(images=1, layers=1)
    label_map = torch.full((16, 16), 2, dtype=torch.uint8)
    label_map[8:] = 1
    label_map[5, 5] = 0
    target = make_target(label_map, torch.zeros(16, 16, dtype=torch.bool), [4])
    kept = MatchingSettings(remap_columns=False)
    right = pairs_of(match(output.class_logits, output.mask_logits, [target], SETTINGS), 0, 0, [target])
    wrong = pairs_of(match(output.class_logits, output.mask_logits, [target], kept), 0, 0, [target])
    assert wrong == {query: {1: 0, 2: 1, 0: 2, 3: 3}[column] for query, column in right.items()}


def test_costs_are_single_precision_under_autocast(new_batch):
    output, targets = new_batch()
    arguments = output.class_logits, output.mask_logits, targets, SETTINGS
    plain = matching_costs(*arguments)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = matching_costs(*arguments)
    assert mixed.dtype == torch.float32 and torch.equal(plain, mixed)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_cost_that_is_not_finite_is_reported(new_batch, bad):
    output, targets = new_batch(labels=[4])
    output.class_logits.data[1, 2, 3, 0] = bad
    with pytest.raises(FloatingPointError, match="matching.*image 2.*layer 2 of 3"):
        match(output.class_logits, output.mask_logits, targets, SETTINGS)
