"""Class maps of one view by a network at stride 8."""

from __future__ import annotations

import math

from torch import Tensor

from simformer.baselines.class_maps.cam import GRID_STRIDE
from simformer.baselines.stride8.network import TappedClassifier, enlarged


def view_response(network: TappedClassifier, images: Tensor, present: Tensor, spread: bool) -> Tensor:
    """Compute the class maps of a view on a grid of stride 4.

    Args:
        network: in eval mode.
        images: normalised RGB, [B, 3, H, W].
        present: image-level labels, bool [B, K].
        spread: the spread maps r instead of the raw ones A.
    Returns: [B, K, ceil(H / 4), ceil(W / 4)].
    """
    grid = tuple(math.ceil(side / GRID_STRIDE) for side in images.shape[-2:])
    maps = network(images, present)[1][:, 1:] if spread else network.class_maps(images)
    return enlarged(maps, grid)
