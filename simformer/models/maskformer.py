"""MaskFormer: N class proposals and N mask proposals of an image (Sec. 3.2; Cheng et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from simformer.config.settings import ModelSettings
from simformer.models.backbone import build_backbone
from simformer.models.pixel_decoder import PixelDecoder
from simformer.models.transformer import TransformerDecoder


@dataclass(frozen=True)
class MaskFormerOutput:
    """Proposals and pixel embeddings of B images.

    Attributes:
        class_logits: logits over the K classes and, last, 'no object', [L, B, N, K + 1]; the last of the L
            decoder layers is the final one; L is 1 in eval mode.
        mask_logits: logit of every pixel belonging to a proposal, [L, B, N, h, w] at stride 4.
        embeddings: pixel embeddings E, input of SimNet, [B, C, h, w] at stride 4.
    """

    class_logits: Tensor
    mask_logits: Tensor
    embeddings: Tensor


class MaskFormer(nn.Module):
    """The segmentation network. SimNet is a separate module: it is needed in training only.

    Args:
        num_classes: K, base and novel classes together.
        settings: sizes of the network; `settings.weights` is the caller's to load (models/weights.py).
    """

    def __init__(self, num_classes: int, settings: ModelSettings):
        super().__init__()
        dim = settings.dim
        self.backbone = build_backbone(settings.backbone)
        self.backbone.freeze(settings.frozen_stages)
        self.pixel_decoder = PixelDecoder(self.backbone.channels, dim)
        self.transformer = TransformerDecoder(
            channels=self.backbone.channels[-1],
            queries=settings.queries,
            dim=dim,
            heads=settings.heads,
            feedforward_dim=settings.feedforward_dim,
            layers=settings.decoder_layers,
            dropout=settings.dropout,
        )
        self.class_head = nn.Linear(dim, num_classes + 1)
        self.mask_head = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim)
        )

    def forward(self, images: Tensor) -> MaskFormerOutput:
        """Compute the proposals of a batch.

        Args:
            images: normalised RGB of any size, [B, 3, H, W].

        Returns: MaskFormerOutput with h = ceil(H / 4), w = ceil(W / 4).
        """
        features = self.backbone(images)
        embeddings = self.pixel_decoder(features)
        states = self.transformer(features[-1])
        mask_logits = torch.einsum("lbnc,bchw->lbnhw", self.mask_head(states), embeddings)
        return MaskFormerOutput(self.class_head(states), mask_logits, embeddings)
