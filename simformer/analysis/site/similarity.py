"""SimNet's similarity of every pixel of an image with every other one, on a grid for a web page (Sec. 3.4)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_linear_bn_eval

from simformer.data.transforms import normalise
from simformer.inference import SIZE_DIVISOR
from simformer.models.maskformer import MaskFormer
from simformer.models.simnet import SimNet, linear_on_pairs, with_statistics

CELLS = 24
"""Cells on the longer side of the grid, at most; 24 x 24 cells make 331,776 similarities."""

ROWS = 64
"""Cells whose pairs with all cells give batch norm its statistics."""

BLOCK = 8
"""Cells that are compared with all cells at a time: few, so that the activations of their pairs stay in the cache."""

LEVELS = 16
"""Similarities are told apart in this many steps: what an eye sees in a picture, at a fraction of the size of 256."""


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the grid for pixel embeddings of a size: never finer than they are."""
    scale = min(1.0, CELLS / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


@torch.inference_mode()
def similarity_grid(model: MaskFormer, simnet: SimNet, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Compare all cells of an image with all of them.

    A cell stands for the pixel embedding at its middle, not for a mean: means over a border are embeddings of nothing.

    Args:
        model: network in eval mode.
        simnet: of the same training.
        image: raw RGB at test size, uint8 [1, 3, H, W], on the networks' device.
    Returns: R_hat (Sec. 3.4), [cells, cells], row = the pixel that is asked about; rows and columns of the grid.
    """
    height, width = image.shape[-2:]
    padded = F.pad(normalise(image), (0, -width % SIZE_DIVISOR, 0, -height % SIZE_DIVISOR))
    embeddings = model(padded).embeddings
    stride = padded.shape[-1] // embeddings.shape[-1]
    inside = embeddings[..., : -(-height // stride), : -(-width // stride)]
    size = grid_size(*inside.shape[-2:])
    points = F.interpolate(inside, size=size, mode="nearest-exact").flatten(2).transpose(1, 2)
    settled = settle(simnet, points)
    return torch.cat([settled(rows, points)[0] for rows in points.split(BLOCK, dim=1)]), size


class SettledSimNet:
    """SimNet with fixed statistics, faster than the network itself: each batch norm is part of the layer before it.

    Args:
        simnet: in eval mode; its layers are changed.
    """

    def __init__(self, simnet: SimNet):
        self.projection = simnet.projection
        self.layers = [
            (_folded(block.linear1, block.norm1), _folded(block.linear2, block.norm2))
            for block in simnet.residual_blocks()
        ]
        self.weight, self.bias = (values[1] - values[0] for values in (simnet.head.weight, simnet.head.bias))

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Compare pixels; see `SimNet.forward`. The softmax over two logits is the sigmoid of their difference."""
        (first, second), *others = self.layers
        hidden, x = (linear_on_pairs(layer, a[None], b[None]).squeeze(-2) for layer in (first, self.projection))
        x.relu_()
        x += second(hidden.relu_()).relu_()
        for first, second in others:
            x += second(first(x).relu_()).relu_()
        return (x @ self.weight + self.bias).sigmoid_()


def _folded(linear: torch.nn.Linear, norm: torch.nn.Module) -> torch.nn.Linear:
    assert isinstance(norm, torch.nn.BatchNorm1d), "`settle` has checked it"
    return fuse_linear_bn_eval(linear, norm)


def settle(simnet: SimNet, points: Tensor) -> SimNet | SettledSimNet:
    """Return SimNet with the statistics of an image's own pixel pairs in its batch norms.

    They are those of all pairs with ROWS cells spread over the image, the same for every pixel that is asked about.

    Args:
        simnet: is not changed.
        points: embeddings of all cells, [1, cells, C].
    """
    some = torch.linspace(0, points.shape[1] - 1, min(ROWS, points.shape[1]), device=points.device).round().long()
    settled = with_statistics(simnet, points[:, some], points)
    foldable = isinstance(simnet.residual_blocks()[0].norm1, torch.nn.BatchNorm1d) and not simnet.relational
    return SettledSimNet(settled) if foldable else settled


def quantise(similarity: np.ndarray) -> np.ndarray:
    """Return similarities, [cells, cells] in [0, 1], as levels in 0..LEVELS - 1, uint8."""
    levels: np.ndarray = np.rint(similarity * (LEVELS - 1)).astype(np.uint8)
    return levels
