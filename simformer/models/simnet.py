"""SimNet: the probability that two pixels belong to the same class, from their embeddings (Sec. 3.4)."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.config.settings import ModelSettings
from simformer.models.running_statistics import momentum, running_values

NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": nn.Identity}
"""Norm layers by the name that `model.simnet_norm` gives them."""


class ResidualBlock(nn.Module):
    """Two linear layers, each with a norm and ReLU, around a shortcut; no activation after the sum."""

    def __init__(self, width_in: int, width: int, norm: str):
        super().__init__()
        self.linear1 = nn.Linear(width_in, width)
        self.norm1 = NORMS[norm](width)
        self.linear2 = nn.Linear(width, width)
        self.norm2 = NORMS[norm](width)

    def forward(self, hidden: Tensor, shortcut: Tensor) -> Tensor:
        """Finish the block from the output of its `linear1`, which the caller computes (see SimNet).

        Args:
            hidden: output of `linear1`, [P, G, width].
            shortcut: what is added to the result, [P, G, width].

        Returns: [P, G, width].
        """
        hidden = normed_relu(self.norm1, hidden)
        return normed_relu(self.norm2, self.linear2(hidden)) + shortcut


class SimNet(nn.Module):
    """Three residual blocks on pairs of pixel embeddings and a two-way softmax (Sec. 3.4; released code).

    Batch norm uses, in train mode, the statistics of all pixel pairs of one image pair; layer norm knows one pair.

    Args:
        dim: C, width of the pixel embeddings.
        width: width of the residual blocks.
        norm: one of NORMS.
        relational: whether a pair is told as [|a - b| ; a * b] in place of [a ; b].
    """

    def __init__(self, dim: int, width: int = 256, norm: str = "batch", relational: bool = False):
        super().__init__()
        self.relational = relational
        self.projection = nn.Linear(2 * dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width_in, width, norm) for width_in in (2 * dim, width, width))
        self.head = nn.Linear(width, 2)

    @classmethod
    def of(cls, settings: ModelSettings) -> SimNet:
        """Return the network that the settings describe."""
        return cls(settings.dim, settings.simnet_dim, settings.simnet_norm, settings.simnet_input == "relational")

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Compare every pixel of one image with every pixel of another: R_hat (Sec. 3.4).

        Args:
            a: embeddings of J pixels, for each of D directions of G image pairs, [G, D, J, C], or of one, [D, J, C].
            b: embeddings of I pixels to compare them with, [G, D, I, C] or [D, I, C].

        Returns: probability that the pixels a_j and b_i are similar, in [0, 1], at least in single precision,
            [G, D, J, I] or [D, J, I].
        """
        if a.dim() == 3:
            single: Tensor = self(a[None], b[None])[0]
            return single
        layers = self.residual_blocks()[0].linear1, self.projection
        if self.relational:
            pairs = relations(a, b)
            hidden, shortcut = (layer(pairs) for layer in layers)
        else:
            hidden, shortcut = (linear_on_pairs(layer, a, b) for layer in layers)
        shortcut = shortcut.relu_()
        probability = self.similarity(hidden.flatten(0, 2), shortcut.flatten(0, 2))
        return probability.view(hidden.shape[:-1]).movedim(-1, 0)

    def similarity(self, hidden: Tensor, shortcut: Tensor) -> Tensor:
        """Run the network on P pixel pairs of G image pairs from the first block's `linear1` and its shortcut.

        Args:
            hidden: blocks[0].linear1 of the pair, [P, G, width].
            shortcut: ReLU of the projection of the pair, [P, G, width].

        Returns: probability of 'similar', [P, G].
        """
        first, *others = self.residual_blocks()
        x = first(hidden, shortcut)
        for block in others:
            x = block(block.linear1(x), x)
        logits: Tensor = self.head(x)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(dim=-1)[..., 1]

    def residual_blocks(self) -> list[ResidualBlock]:
        """Return `blocks`, of which PyTorch forgets the type."""
        return list(cast("Iterable[ResidualBlock]", self.blocks))


def with_statistics(simnet: SimNet, a: Tensor, b: Tensor) -> SimNet:
    """Return a copy of SimNet, in eval mode, whose batch norm has the statistics of given pairs.

    SimNet teaches with the statistics of the pairs at hand; its running ones are poor (docs/discrepancies.md, row 31).

    Args:
        simnet: the network, which stays as it is.
        a, b: embeddings of the pixels whose pairs count, [..., J, C] each, see `SimNet.forward`.
    """
    copied = copy.deepcopy(simnet).train()
    for module in copied.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0
    copied(a, b)
    return copied.eval()


def linear_on_pairs(linear: nn.Linear, a: Tensor, b: Tensor) -> Tensor:
    """Apply a linear layer to the concatenations [a_j ; b_i] of all pairs, without building them.

    W [a ; b] + bias = W_a a + (W_b b + bias): each half is computed once per pixel, then broadcast.

    Args:
        linear: layer with 2 C inputs.
        a: [G, D, J, C].
        b: [G, D, I, C].

    Returns: [D, J, I, G, outputs].
    """
    weight_a, weight_b = linear.weight.chunk(2, dim=1)
    of_a, of_b = (y.movedim(0, 2).contiguous() for y in (F.linear(a, weight_a), F.linear(b, weight_b, linear.bias)))
    return of_a[:, :, None] + of_b[:, None]


def relations(a: Tensor, b: Tensor) -> Tensor:
    """Return [|a_j - b_i| ; a_j * b_i] of all pairs: a [G, D, J, C], b [G, D, I, C] -> [D, J, I, G, 2 C]."""
    a, b = a.movedim(0, 2)[:, :, None], b.movedim(0, 2)[:, None]
    return torch.cat([(a - b).abs(), a * b], dim=-1)


def normed_relu(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a norm and ReLU; batch norm to each of G groups of rows by itself, as if it had been called for each.

    Args:
        norm: the layer, one of NORMS; the running statistics of batch norm follow.
        x: [P, G, width].

    Returns: [P, G, width].
    """
    if not isinstance(norm, nn.BatchNorm1d):
        single: Tensor = norm(x)
        return single.relu_()
    groups = x.shape[1]
    if groups == 1 or not norm.training:
        joint: Tensor = norm(x.flatten(0, 1))
        return joint.relu_().view_as(x)
    mean, variance, batches = running_values(norm)
    means, variances = torch.zeros(2, groups * norm.num_features, dtype=mean.dtype, device=x.device)
    y = F.batch_norm(
        x.flatten(1), means, variances, norm.weight.repeat(groups), norm.bias.repeat(groups), True, 1.0, norm.eps
    )
    for group in range(groups):  # momentum 1 has left the statistics of each group
        for running, found in ((mean, means), (variance, variances)):
            running.lerp_(found.view(groups, -1)[group], momentum(norm))
    batches += groups
    return y.relu_().view_as(x)
