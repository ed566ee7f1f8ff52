"""RETAB's boundary network: PSA's reduced maps, joined to one logit per cell."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.expansion.affinity_network import REDUCED, initialise_reducers, joined_maps, side_reducers
from simformer.baselines.training.strided_backbone import strided_backbone


class EdgeNetwork(nn.Module):
    """Backbone at stride 8, its last three maps reduced and joined to one boundary logit per cell.

    Args:
        backbone: name, see `build_backbone`.
    """

    def __init__(self, backbone: str):
        super().__init__()
        self.backbone = strided_backbone(backbone, 8)
        self.reducers = side_reducers(self.backbone)
        self.join = nn.Conv2d(sum(REDUCED), 1, 1, bias=False)
        initialise_reducers(self.reducers)

    def forward(self, images: Tensor) -> Tensor:
        """Compute boundary logits.

        Args:
            images: normalised RGB, [B, 3, H, W].
        Returns: [B, ceil(H / 8), ceil(W / 8)].
        """
        return self.join(joined_maps(self.backbone, self.reducers, images))[:, 0]


def at_pixels(logits: Tensor, height: int, width: int) -> Tensor:
    """Bring the logits of cells [B, h, w] to pixels [B, H, W]; each cell speaks for the centre of its 8 x 8 pixels."""
    size = 8 * logits.shape[-2], 8 * logits.shape[-1]
    full = F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    return full[..., :height, :width]
