"""Random predictions and targets, and slow references, for the equations' tests."""

import math
from types import SimpleNamespace

import pytest
import torch

from simformer.data.targets import make_target

CLASSES, NOVEL = 7, (4, 5, 6)


def random_target(generator, size=16, labels=None):
    """Scene of 4x4 blocks of base classes 0..3 and hidden pixels (255), padded at the right."""

    def draw(high):
        return int(torch.randint(high, (), generator=generator))

    blocks = torch.randint(0, 6, (size // 4, size // 4), generator=generator)
    blocks = torch.where(blocks > 3, 255, blocks).to(torch.uint8)
    label_map = blocks.repeat_interleave(4, 0).repeat_interleave(4, 1)
    padding = torch.zeros(size, size, dtype=torch.bool)
    padding[:, size - 3 * draw(2) :] = True
    label_map[padding] = 255
    if labels is None:
        labels = [c for c in NOVEL if draw(2)]
    return make_target(label_map, padding, labels)


@pytest.fixture
def new_batch():
    """Factory of a random batch: output (class_logits, mask_logits, embeddings) and targets."""

    def make(seed=0, layers=3, images=4, queries=10, grid=4, dtype=torch.float32, labels=None):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)

        output = SimpleNamespace(
            class_logits=normal(layers, images, queries, CLASSES + 1).requires_grad_(),
            mask_logits=normal(layers, images, queries, grid, grid).requires_grad_(),
            embeddings=normal(images, 8, grid, grid).requires_grad_(),
        )
        return output, [random_target(generator, labels=labels) for _ in range(images)]

    return make


@pytest.fixture
def blank_target():
    """Target of an image that is padding only and has no label."""
    return make_target(torch.full((16, 16), 255, dtype=torch.uint8), torch.ones(16, 16, dtype=torch.bool), [])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def slow_focal(logits, mask):
    """Plain-Python focal loss of two equally long lists."""
    terms = [
        0.25 * (1 - sigmoid(z)) ** 2 * -math.log(sigmoid(z)) if t else 0.75 * sigmoid(z) ** 2 * -math.log(sigmoid(-z))
        for z, t in zip(logits, mask, strict=True)
    ]
    return sum(terms) / len(terms)


def slow_dice(logits, mask):
    """Plain-Python dice loss of two equally long lists."""
    scores = [sigmoid(z) for z in logits]
    overlap = sum(s for s, t in zip(scores, mask, strict=True) if t)
    return 1 - (2 * overlap + 1) / (sum(scores) + sum(map(bool, mask)) + 1)


def slow_upsample(grid, size):
    """Plain-Python bilinear enlargement of a nested list [h][w] to size x size, flattened."""

    def weights(count):
        for i in range(size):
            source = max((i + 0.5) * count / size - 0.5, 0.0)
            low = int(source)
            yield low, min(low + 1, count - 1), source - low

    return [
        (grid[y0][x0] * (1 - b) + grid[y0][x1] * b) * (1 - a) + (grid[y1][x0] * (1 - b) + grid[y1][x1] * b) * a
        for y0, y1, a in weights(len(grid))
        for x0, x1, b in weights(len(grid[0]))
    ]


@pytest.fixture
def slow():
    """Plain-Python references: focal, dice, upsample."""
    return SimpleNamespace(focal=slow_focal, dice=slow_dice, upsample=slow_upsample, sigmoid=sigmoid)
