"""RETAB's boundary network: PSA's reduced maps, joined to one logit per cell."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from simformer.baselines.expansion.affinity_network import JoinedMaps


class EdgeNetwork(JoinedMaps):
    """Joined maps as one boundary logit per cell; for its argument see `JoinedMaps`."""

    def __init__(self, backbone: str):
        super().__init__(backbone, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute boundary logits of normalised RGB [B, 3, H, W]: [B, ceil(H / 8), ceil(W / 8)]."""
        return self.joined(images)[:, 0]


def at_pixels(logits: Tensor, height: int, width: int) -> Tensor:
    """Bring the logits of cells [B, h, w] to pixels [B, H, W]; each cell speaks for the centre of its 8 x 8 pixels."""
    size = 8 * logits.shape[-2], 8 * logits.shape[-1]
    full = F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    return full[..., :height, :width]
