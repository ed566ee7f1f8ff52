"""PAMR against a double loop, and what RETAB 6.2 asks of it."""

import torch

from simformer.baselines.class_maps.pamr import DILATIONS, pamr


def by_loops(image, scores):
    """One iteration, pixel by pixel."""
    _, height, width = image.shape
    result = torch.empty_like(scores)
    for y in range(height):
        for x in range(width):
            near = [
                (min(max(y + d * v, 0), height - 1), min(max(x + d * u, 0), width - 1))
                for d in DILATIONS
                for v in (-1, 0, 1)
                for u in (-1, 0, 1)
                if (v, u) != (0, 0)
            ]
            colours = torch.stack([image[:, v, u] for v, u in near])
            deviation = colours.std(dim=0)
            distance = ((image[:, y, x] - colours).abs() / (1e-8 + 0.1 * deviation)).mean(dim=1)
            weights = torch.softmax(-distance, dim=0)
            values = torch.stack([scores[:, v, u] for v, u in near])
            result[:, y, x] = (weights[:, None] * values).sum(dim=0)
    return result


def test_one_iteration_by_loops():
    torch.manual_seed(0)
    image, scores = torch.rand(3, 7, 9, dtype=torch.float64), torch.rand(2, 7, 9, dtype=torch.float64)
    once = by_loops(image, scores)
    assert len(DILATIONS) * 8 == 48
    assert torch.allclose(pamr(image, scores, 1), once, atol=1e-12)
    assert torch.allclose(pamr(image, scores, 2), by_loops(image, once), atol=1e-12)


def test_no_range_grows_and_a_constant_stays():
    torch.manual_seed(0)
    image, scores = torch.rand(3, 20, 30), torch.rand(2, 20, 30)
    refined = pamr(image, scores, 10)
    assert refined.min() >= scores.min() and refined.max() <= scores.max()
    assert torch.allclose(pamr(image, torch.full((1, 20, 30), 0.4), 10), torch.tensor(0.4))


def test_scores_do_not_cross_an_edge_of_colour_and_fill_the_region_within():
    image = torch.zeros(3, 40, 40)
    image[:, :, 20:] = 1.0
    scores = torch.zeros(1, 40, 40)
    scores[0, 15:25, 5:10] = 1.0
    refined = pamr(image, scores, 10)[0]
    assert refined[:, 20:].max() < 0.02
    assert refined[12, 14] > 0.02 > scores[0, 12, 14]
