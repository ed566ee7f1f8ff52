"""SimNet: the probability that two pixels belong to the same class, from their embeddings (Sec. 3.3)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Two linear layers, each with batch norm and ReLU, around a shortcut; no activation after the sum."""

    def __init__(self, width_in: int, width: int):
        super().__init__()
        self.linear1 = nn.Linear(width_in, width)
        self.norm1 = nn.BatchNorm1d(width)
        self.linear2 = nn.Linear(width, width)
        self.norm2 = nn.BatchNorm1d(width)

    def forward(self, hidden: Tensor, shortcut: Tensor) -> Tensor:
        """Finish the block from the output of its `linear1`, which the caller computes (see SimNet).

        Args:
            hidden: output of `linear1`, [P, width].
            shortcut: what is added to the result, [P, width].

        Returns: [P, width].
        """
        hidden = self.norm1(hidden).relu()
        return self.norm2(self.linear2(hidden)).relu() + shortcut


class SimNet(nn.Module):
    """Three residual blocks on pairs of pixel embeddings and a two-way softmax (Sec. 3.3; released code).

    Batch norm uses, in train mode, the statistics of all pairs of one call: call it once per image pair.

    Args:
        dim: C, width of the pixel embeddings.
        width: width of the residual blocks.
    """

    def __init__(self, dim: int, width: int = 256):
        super().__init__()
        self.projection = nn.Linear(2 * dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width_in, width) for width_in in (2 * dim, width, width))
        self.head = nn.Linear(width, 2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Compare every pixel of one image with every pixel of another: R_hat of Eq. 2.

        Args:
            a: embeddings of J pixels, for each of D directions of an image pair, [D, J, C].
            b: embeddings of I pixels to compare them with, [D, I, C].

        Returns: probability that the pair [a_j ; b_i] is similar, in [0, 1], [D, J, I].
        """
        hidden = linear_on_pairs(self.blocks[0].linear1, a, b)
        shortcut = linear_on_pairs(self.projection, a, b).relu()
        return self.similarity(hidden.flatten(0, 2), shortcut.flatten(0, 2)).view(hidden.shape[:-1])

    def similarity(self, hidden: Tensor, shortcut: Tensor) -> Tensor:
        """Run the network on P pairs from the first block's `linear1` and its shortcut.

        Args:
            hidden: blocks[0].linear1 of the concatenated pair, [P, width].
            shortcut: ReLU of the projection of the concatenated pair, [P, width].

        Returns: probability of 'similar', [P].
        """
        first, *others = self.blocks
        x = first(hidden, shortcut)
        for block in others:
            x = block(block.linear1(x), x)
        return self.head(x).softmax(dim=-1)[:, 1]


def linear_on_pairs(linear: nn.Linear, a: Tensor, b: Tensor) -> Tensor:
    """Apply a linear layer to the concatenations [a_j ; b_i] of all pairs, without building them.

    W [a ; b] + bias = W_a a + (W_b b + bias): each half is computed once per pixel, then broadcast.

    Args:
        linear: layer with 2 C inputs.
        a: [D, J, C].
        b: [D, I, C].

    Returns: [D, J, I, outputs].
    """
    weight_a, weight_b = linear.weight.chunk(2, dim=1)
    return F.linear(a, weight_a)[:, :, None] + F.linear(b, weight_b, linear.bias)[:, None]
