"""MaskFormer and SimNet as the specifications say them, layer by layer, with nothing done for speed."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simformer.config.settings import ModelSettings
from simformer.models.backbone import build_backbone


class PlainMaskFormer(nn.Module):
    """The segmentation network; its tensors have the names of ours, so that weights can be handed over.

    The backbone is torchvision's; 'tiny' is this project's own.
    """

    def __init__(self, classes: int, settings: ModelSettings):
        super().__init__()
        dim = settings.dim
        self.backbone = build_backbone(settings.backbone)
        self.pixel_decoder = PlainPyramid(self.backbone.channels, dim)
        self.transformer = PlainDecoder(self.backbone.channels[-1], settings)
        self.class_head = nn.Linear(dim, classes + 1)
        layers = [nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim)]
        self.mask_head = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> SimpleNamespace:
        """Return logits of every decoder layer, the last one last, and the pixel embeddings."""
        features = self.backbone(images)
        embeddings = self.pixel_decoder(features)
        class_logits, mask_logits = [], []
        for state in self.transformer(features[-1]):
            class_logits.append(self.class_head(state))
            mask_logits.append(torch.einsum("bqc,bchw->bqhw", self.mask_head(state), embeddings))
        return SimpleNamespace(class_logits=class_logits, mask_logits=mask_logits, embeddings=embeddings)


def normed(channels_in: int, channels: int, kernel: int) -> nn.Sequential:
    """Convolution without bias, and group norm with 32 groups."""
    convolution = nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(32, channels))


class PlainPyramid(nn.Module):
    """The pixel decoder: coarse to fine, laterals added to what is enlarged by nearest neighbour."""

    def __init__(self, channels: tuple[int, ...], dim: int):
        super().__init__()
        self.coarsest = normed(channels[-1], dim, 3)
        self.laterals = nn.ModuleList([normed(width, dim, 1) for width in channels[:-1]])
        self.outputs = nn.ModuleList([normed(dim, dim, 3) for _ in channels[:-1]])
        self.embedding = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Return the pixel embeddings at stride 4."""
        y = F.relu(self.coarsest(features[-1]))
        for level in (2, 1, 0):
            lateral = self.laterals[level](features[level])
            y = lateral + F.interpolate(y, size=lateral.shape[-2:], mode="nearest")
            y = F.relu(self.outputs[level](y))
        return self.embedding(y)


class PlainLayer(nn.Module):
    """A decoder layer with norms after the sums."""

    def __init__(self, settings: ModelSettings):
        super().__init__()
        dim, heads, dropout = settings.dim, settings.heads, settings.dropout
        self.self_attention = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.expand = nn.Linear(dim, settings.feedforward_dim)
        self.contract = nn.Linear(settings.feedforward_dim, dim)
        self.self_norm, self.cross_norm, self.feedforward_norm = (nn.LayerNorm(dim) for _ in range(3))
        self.drop = nn.Dropout(dropout)

    def forward(self, content: Tensor, queries: Tensor, memory: Tensor, position: Tensor) -> Tensor:
        """Update the content of the queries."""
        place = content + queries
        content = self.self_norm(content + self.drop(self.self_attention(place, place, content)[0]))
        found = self.cross_attention(content + queries, memory + position, memory)[0]
        content = self.cross_norm(content + self.drop(found))
        changed = self.contract(self.drop(F.relu(self.expand(content))))
        return self.feedforward_norm(content + self.drop(changed))


class PlainDecoder(nn.Module):
    """Queries read the coarsest map; one norm is shared by what the layers return."""

    def __init__(self, channels: int, settings: ModelSettings):
        super().__init__()
        self.input_projection = nn.Conv2d(channels, settings.dim, 1)
        self.query_embedding = nn.Embedding(settings.queries, settings.dim)
        self.layers = nn.ModuleList([PlainLayer(settings) for _ in range(settings.decoder_layers)])
        self.norm = nn.LayerNorm(settings.dim)

    def forward(self, feature: Tensor) -> list[Tensor]:
        """Return the normed states of every layer, [B, N, C] each."""
        projected = self.input_projection(feature)
        position = sine_encoding(projected).flatten(1).T[None]
        memory = projected.flatten(2).transpose(1, 2)
        queries = self.query_embedding.weight[None].repeat(len(feature), 1, 1)
        content, states = torch.zeros_like(queries), []
        for layer in self.layers:
            content = layer(content, queries, memory, position)
            states.append(self.norm(content))
        return states


def sine_encoding(feature: Tensor) -> Tensor:
    """Sine and cosine of the row, then of the column, each in half of the channels, [C, h, w]."""
    dim, height, width = feature.shape[1:]
    ones = torch.ones(height, width, device=feature.device)
    channel = torch.arange(dim // 2, device=feature.device)
    frequency = 10000 ** (2 * (channel // 2) / (dim // 2))
    parts = []
    for axis in (0, 1):
        place = ones.cumsum(axis)
        last = place[-1:] if axis == 0 else place[:, -1:]
        angle = (place / (last + 1e-6) * 2 * torch.pi)[None] / frequency[:, None, None]
        parts.append(torch.where((channel % 2 == 0)[:, None, None], angle.sin(), angle.cos()))
    return torch.cat(parts).to(feature.dtype)


class PlainBlock(nn.Module):
    """SimNet's residual block as 1 x 1 convolutions over the grid of pairs."""

    def __init__(self, width_in: int, width: int):
        super().__init__()
        self.linear1, self.norm1 = nn.Conv2d(width_in, width, 1), nn.BatchNorm2d(width)
        self.linear2, self.norm2 = nn.Conv2d(width, width, 1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """Map [D, width_in, J, J] to [D, width, J, J]."""
        hidden = F.relu(self.norm1(self.linear1(x)))
        return F.relu(self.norm2(self.linear2(hidden))) + shortcut


class PlainSimNet(nn.Module):
    """SimNet on the concatenated embeddings of all pairs, [D, 2C, J, J]."""

    def __init__(self, dim: int, width: int = 256):
        super().__init__()
        self.projection = nn.Conv2d(2 * dim, width, 1)
        self.blocks = nn.ModuleList([PlainBlock(2 * dim, width), PlainBlock(width, width), PlainBlock(width, width)])
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Compare every pixel of a [D, J, C] with every pixel of b [D, J, C]: similarity in [0, 1], [D, J, J]."""
        count = a.shape[1]
        left = a[:, :, None].repeat(1, 1, count, 1)
        right = b[:, None].repeat(1, count, 1, 1)
        x = torch.cat([left, right], dim=-1).permute(0, 3, 1, 2)
        x = self.blocks[0](x, F.relu(self.projection(x)))
        for block in self.blocks[1:]:
            x = block(x, x)
        return self.head(x).softmax(1)[:, 1]

    def take(self, state: dict[str, Tensor]) -> None:
        """Take over the tensors of our SimNet, whose layers are linear."""
        own = self.state_dict()
        self.load_state_dict({name: tensor.reshape(own[name].shape) for name, tensor in state.items()})
