"""Sine position encoding: golden values of the reference, and its symmetry."""

import math

import pytest
import torch

from simformer.models.position import sine_position_encoding


def test_golden_values():
    """Measured on the reference implementation, h = 3, w = 5, C = 256."""
    encoding = sine_position_encoding(3, 5, 256)
    assert encoding.shape == (256, 3, 5) and encoding.dtype == torch.float32
    golden = {
        (0, 0, 0): 0.866026,
        (1, 0, 0): -0.499999,
        (2, 0, 0): 0.970651,
        (127, 2, 4): 1.0,
        (128, 0, 0): 0.951056,
        (129, 1, 2): -0.809017,
        (130, 1, 2): -0.122705,
    }
    for index, value in golden.items():
        assert encoding[index].item() == pytest.approx(value, abs=2e-6)


@pytest.mark.parametrize("dim", [4, 64])
def test_definition(dim):
    """Every channel against the formula, in plain Python."""
    height, width = 2, 3
    encoding = sine_position_encoding(height, width, dim)
    half = dim // 2
    for channel in range(dim):
        k = channel % half
        frequency = 10_000 ** (2 * (k // 2) / half)
        wave = math.cos if k % 2 else math.sin
        for i in range(height):
            for j in range(width):
                share = (i + 1) / (height + 1e-6) if channel < half else (j + 1) / (width + 1e-6)
                expected = wave(2 * math.pi * share / frequency)
                assert encoding[channel, i, j].item() == pytest.approx(expected, abs=1e-5)


def test_dim_must_be_a_multiple_of_four():
    """Two axes, each with pairs of sine and cosine."""
    with pytest.raises(ValueError, match="multiple of 4"):
        sine_position_encoding(2, 2, 6)
