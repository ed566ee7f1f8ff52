"""Transformer decoder: N queries read the stride-32 features and become N proposals (Sec. 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simformer.models.pixel_decoder import init_conv
from simformer.models.position import sine_position_encoding


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and feed-forward block, each with a residual and a norm after it."""

    def __init__(self, dim: int, heads: int, feedforward_dim: int, dropout: float):
        super().__init__()
        self.self_attention = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.self_norm = nn.LayerNorm(dim)
        self.cross_attention = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.cross_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, feedforward_dim)
        self.contract = nn.Linear(feedforward_dim, dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, content: Tensor, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Update the content of the queries.

        Args:
            content: what each query has gathered so far, [B, N, C].
            queries: learned query embeddings, added wherever content attends, [B, N, C].
            keys: image features with position encoding, [B, h*w, C].
            values: image features without it, [B, h*w, C].

        Returns: the new content, [B, N, C].
        """
        place = content + queries
        attended = self.self_attention(place, place, content, need_weights=False)[0]
        content = self.self_norm(content + self.dropout(attended))
        attended = self.cross_attention(content + queries, keys, values, need_weights=False)[0]
        content = self.cross_norm(content + self.dropout(attended))
        hidden = self.dropout(self.expand(content).relu())
        content = self.feedforward_norm(content + self.dropout(self.contract(hidden)))
        return content


class TransformerDecoder(nn.Module):
    """L post-norm decoder layers on the backbone's coarsest map; no encoder layers, no padding mask.

    Args:
        channels: channels of the coarsest backbone map.
        queries: N, number of queries.
        dim: C, width of the queries.
        heads: attention heads.
        feedforward_dim: hidden width of the feed-forward blocks.
        layers: L, number of decoder layers.
        dropout: probability for attention weights, residuals and feed-forward units.
    """

    def __init__(
        self,
        channels: int,
        queries: int,
        dim: int,
        heads: int,
        feedforward_dim: int,
        layers: int,
        dropout: float,
    ):
        super().__init__()
        self.input_projection = nn.Conv2d(channels, dim, 1)
        self.query_embedding = nn.Embedding(queries, dim)
        self.layers = nn.ModuleList(DecoderLayer(dim, heads, feedforward_dim, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        init_conv(self.input_projection)
        for parameter in self.layers.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)  # the packed query/key/value matrix counts as one

    def forward(self, feature: Tensor) -> Tensor:
        """Run the decoder.

        The norm shared by all layers is applied to what is returned, not to what the next layer reads.

        Args:
            feature: coarsest backbone map, [B, channels, h, w].

        Returns: query states of all layers, final last, [L, B, N, C]; eval mode: the final, [1, B, N, C].
        """
        projected = self.input_projection(feature)
        batch, dim, height, width = projected.shape
        position = sine_position_encoding(height, width, dim, projected.device)
        values = projected.flatten(2).transpose(1, 2)
        keys = (projected + position).flatten(2).transpose(1, 2)
        queries = self.query_embedding.weight.expand(batch, -1, -1)
        content = torch.zeros_like(queries)
        contents = []
        for layer in self.layers:
            content = layer(content, queries, keys, values)
            contents.append(content)
        states: Tensor = self.norm(torch.stack(contents if self.training else contents[-1:]))
        return states
