"""Resizing between pixels and the embedding grid."""

import pytest
import torch
import torch.nn.functional as F

from simformer.losses.grid import to_grid, to_pixels


@pytest.mark.parametrize(("size", "grid"), [((16, 16), (4, 4)), ((96, 64), (24, 16)), ((13, 7), (5, 3))])
def test_to_grid_is_floor_nearest(size, grid):
    maps = torch.arange(2 * size[0] * size[1]).view(2, *size)
    shrunk = to_grid(maps, grid)
    for y in range(grid[0]):
        for x in range(grid[1]):
            assert torch.equal(shrunk[:, y, x], maps[:, y * size[0] // grid[0], x * size[1] // grid[1]])
    assert torch.equal(shrunk, F.interpolate(maps[None].double(), size=grid, mode="nearest")[0].long())


@pytest.mark.parametrize(("grid", "size"), [((4, 4), (16, 16)), ((24, 16), (96, 64)), ((5, 3), (13, 7))])
def test_to_pixels_is_bilinear(grid, size):
    logits = torch.randn(3, *grid, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(to_pixels(logits, size), expected)


def test_to_pixels_of_nothing():
    assert to_pixels(torch.zeros(0, 4, 4), (16, 16)).shape == (0, 16, 16)
