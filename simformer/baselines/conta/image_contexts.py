"""Context maps of training images by name: an image's own, or those of the three controls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.conta.context_attention import ContextAttention, padded_masks
from simformer.baselines.conta.settings import Context

SHUFFLE_TAG = 8


def partners(names: Sequence[str], seed: int) -> dict[str, str]:
    """Give every image another one, each once (itself only if it is alone): a random circle of all images."""
    order = np.random.default_rng([seed, SHUFFLE_TAG]).permutation(len(names))
    return {names[i]: names[j] for i, j in zip(order, np.roll(order, -1), strict=True)}


class Contexts:
    """Context maps of images, computed anew at every call from the stored masks, so that gradients reach W1 and W2.

    Args:
        kind: 'own', 'shuffled', 'zero' or 'constant'.
        attention: None for 'zero' and 'constant'.
        predicted: masks of the predicted classes of every image; None for 'zero' and 'constant'.
        names: all training images, for 'shuffled'.
        seed: of the shuffle.
        device: of the maps.
    """

    def __init__(
        self,
        kind: Context,
        attention: ContextAttention | None,
        predicted: MapSet | None,
        names: Sequence[str],
        seed: int,
        device: torch.device,
    ) -> None:
        self.kind = kind
        self.attention = attention
        self.predicted = predicted
        self.partner = partners(names, seed) if kind == "shuffled" else {name: name for name in names}
        self.device = device

    def masks(self, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the masks that stand for some images, [B, J, g, g], and which are not padding, bool [B, J]."""
        assert self.predicted is not None and self.attention is not None, "kinds that read masks have both"
        found = [self.predicted.read(self.partner[name]) for name in names]
        stacked, valid = padded_masks([maps.scores.float() for maps in found], self.attention.side)
        return stacked.to(self.device), valid.to(self.device)

    def __call__(self, names: Sequence[str]) -> Tensor:
        """Return the context maps of some images, [B, g, g] in [0, 1]."""
        if self.attention is None:
            return torch.full((len(names), 1, 1), float(self.kind == "constant"), device=self.device)
        maps: Tensor = self.attention(*self.masks(names))
        return maps
