"""The context map M of an image: attention of its predicted masks over the confounder set (CONTA, Sec. 3.2).

The published formula has one query per image. In a scene whose every pixel has a class a query over all classes is a
constant map, so here each predicted class asks by itself and the answers are averaged: the same for one class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.conta.confounder import Confounder
from simformer.baselines.training.crops import Placement

INITIAL_DEVIATION = 0.02


def context_weights(
    masks: Tensor, valid: Tensor, confounder: Tensor, known: Tensor, first: Tensor, second: Tensor
) -> Tensor:
    """Attention alpha_i = mean over j of softmax_i((W1 s_j) . (W2 c_i) / sqrt(n)).

    Args:
        masks: s_j of the J classes predicted in each image, padded, float [B, J, hw].
        valid: which of them are not padding, bool [B, J].
        confounder: c_i, float [n, hw].
        known: classes that take part in the softmax, bool [n].
        first, second: W1 and W2, float [n, hw].
    Returns: [B, n]; sums to 1 over the known classes, or is 0 for an image without a predicted class.
    """
    queries, keys = masks @ first.T, confounder @ second.T
    scores = (queries @ keys.T / math.sqrt(len(confounder))).masked_fill(~known, -torch.inf)
    weights = scores.softmax(dim=-1) * valid[..., None]
    return weights.sum(dim=1) / valid.sum(dim=1, keepdim=True).clamp_min(1)


class ContextAttention(nn.Module):
    """W1, W2 and the confounder set: from an image's predicted masks to its context map.

    Args:
        confounder: average masks of the n classes; they are copied, because a saved state is loaded in their place.
    """

    confounder: Tensor
    known: Tensor

    def __init__(self, confounder: Confounder):
        super().__init__()
        self.side = confounder.masks.shape[-1]
        self.register_buffer("confounder", confounder.masks.flatten(1).clone())
        self.register_buffer("known", confounder.known.clone())
        self.first = nn.Parameter(INITIAL_DEVIATION * torch.randn_like(self.confounder))
        self.second = nn.Parameter(INITIAL_DEVIATION * torch.randn_like(self.confounder))

    def weights(self, masks: Tensor, valid: Tensor) -> Tensor:
        """Return alpha, [B, n]; see `context_weights`, here with masks [B, J, g, g]."""
        return context_weights(masks.flatten(2), valid, self.confounder, self.known, self.first, self.second)

    def forward(self, masks: Tensor, valid: Tensor) -> Tensor:
        """Compute n M = sum_i alpha_i c_i, in [0, 1] (P(c_i) = 1/n is left out: it would only shrink the input).

        Args:
            masks, valid: see `context_weights`; masks [B, J, g, g].
        Returns: [B, g, g]; 0 for an image without a predicted class.
        """
        contexts = self.weights(masks, valid) @ self.confounder
        return contexts.view(-1, self.side, self.side)


def padded_masks(masks: Sequence[Tensor], side: int) -> tuple[Tensor, Tensor]:
    """Stack the masks of several images.

    Args:
        masks: of each image, float [P, g, g], P >= 0.
        side: g.
    Returns: masks [B, J, g, g] and which of them are not padding, bool [B, J], with J the largest P (at least 1).
    """
    most = max(1, *(len(m) for m in masks))
    stacked, valid = torch.zeros(len(masks), most, side, side), torch.zeros(len(masks), most, dtype=torch.bool)
    for row, (of_image, count) in enumerate((m, len(m)) for m in masks):
        stacked[row, :count] = of_image
        valid[row, :count] = True
    return stacked, valid


def place_in_crops(contexts: Tensor, placements: Sequence[Placement], padding: Tensor) -> Tensor:
    """Bring context maps to the pixels of training crops: the resizing, flip and crop of the image, 0 in the padding.

    Args:
        contexts: of the whole images, [B, g, g].
        placements: where each crop lies in its image.
        padding: pixels outside the image, bool [B, S, S].
    Returns: [B, 1, S, S], bilinearly interpolated.
    """
    centres = torch.arange(padding.shape[-1], device=contexts.device) + 0.5
    grids = []
    for at in placements:
        rows, columns = (centres + at.top) / at.height, (centres + at.left) / at.width
        columns = 1 - columns if at.flipped else columns
        grids.append(torch.stack(torch.broadcast_tensors(columns[None, :], rows[:, None]), dim=-1) * 2 - 1)
    maps = F.grid_sample(contexts[:, None], torch.stack(grids), padding_mode="border", align_corners=False)
    return maps.masked_fill(padding[:, None], 0.0)


def place_in_views(contexts: Tensor, height: int, width: int) -> Tensor:
    """Bring context maps to the pixels of whole images and of their mirror images: [B, g, g] to [2 B, 1, H, W]."""
    maps = F.interpolate(contexts[:, None], size=(height, width), mode="bilinear", align_corners=False)
    return torch.cat([maps, maps.flip(-1)])
