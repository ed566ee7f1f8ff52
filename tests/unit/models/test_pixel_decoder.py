"""Pixel decoder: a slow reference, odd sizes, initial values."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from simformer.models.pixel_decoder import PixelDecoder

CHANNELS = (8, 12, 16, 20)


def make_features(sizes: list[tuple[int, int]]) -> tuple[torch.Tensor, ...]:
    """Random float64 maps of the given sizes."""
    return tuple(torch.randn(2, c, *s, dtype=torch.float64) for c, s in zip(CHANNELS, sizes, strict=True))


def nearest(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Nearest up-sampling by floor indexing, written out."""
    rows = torch.arange(size[0]) * x.shape[-2] // size[0]
    columns = torch.arange(size[1]) * x.shape[-1] // size[1]
    return x[:, :, rows][:, :, :, columns]


def test_against_a_written_out_pyramid():
    """Odd sizes; no activation on the laterals, ReLU after the 3x3 convolutions, none on the embeddings."""
    torch.manual_seed(0)
    decoder = PixelDecoder(CHANNELS, 32).double()
    for module in decoder.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    nn.init.normal_(decoder.embedding.bias)
    features = make_features([(13, 9), (7, 5), (4, 3), (2, 2)])

    def conv_norm(x, block):
        conv, norm = block
        y = F.conv2d(x, conv.weight, None, 1, conv.weight.shape[-1] // 2)
        return F.group_norm(y, 32, norm.weight, norm.bias, 1e-5)

    y = F.relu(conv_norm(features[3], decoder.coarsest))
    for i in (2, 1, 0):
        lateral = conv_norm(features[i], decoder.laterals[i])
        y = F.relu(conv_norm(lateral + nearest(y, lateral.shape[-2:]), decoder.outputs[i]))
    expected = F.conv2d(y, decoder.embedding.weight, decoder.embedding.bias, 1, 1)
    found = decoder(features)
    assert found.shape == (2, 32, 13, 9)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_initial_values():
    """Kaiming-uniform a = 1 by fan-in (golden bound .01276 at 2048 channels); norms 1 and 0; biases 0."""
    torch.manual_seed(0)
    decoder = PixelDecoder((256, 512, 1024, 2048), 256)
    assert math.isclose(decoder.coarsest[0].weight.abs().max().item(), 0.01276, abs_tol=1e-5)
    for module in decoder.modules():
        if isinstance(module, nn.Conv2d):
            bound = math.sqrt(3 / module.weight[0].numel())
            assert 0.99 * bound < module.weight.abs().max().item() <= bound
        elif isinstance(module, nn.GroupNorm):
            assert module.num_groups == 32 and module.eps == 1e-5
            assert (module.weight == 1).all() and (module.bias == 0).all()
    biased = [m for m in decoder.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    assert biased == [decoder.embedding] and (decoder.embedding.bias == 0).all()
