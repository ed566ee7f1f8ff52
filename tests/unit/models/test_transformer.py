"""Transformer decoder: a slow reference, the shared norm, train against eval mode, initial values."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from simformer.models.position import sine_position_encoding
from simformer.models.transformer import TransformerDecoder


def make_decoder(dropout: float = 0.0, layers: int = 3) -> TransformerDecoder:
    """A small float64 decoder whose norms and biases are not trivial."""
    torch.manual_seed(0)
    decoder = TransformerDecoder(
        channels=10, queries=7, dim=32, heads=4, feedforward_dim=48, layers=layers, dropout=dropout
    ).double()
    for name, parameter in decoder.named_parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, mean=1.0 if "norm" in name and name.endswith("weight") else 0.0, std=0.2)
    return decoder


def attention(module: nn.MultiheadAttention, query, key, value):
    """Multi-head attention written out, one head at a time."""
    weights, biases = module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3)
    q, k, v = (F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    size = q.shape[-1] // module.num_heads
    heads = []
    for h in range(module.num_heads):
        part = slice(h * size, (h + 1) * size)
        scores = torch.einsum("bqc,bkc->bqk", q[..., part], k[..., part]) / math.sqrt(size)
        heads.append(scores.softmax(-1) @ v[..., part])
    return F.linear(torch.cat(heads, -1), module.out_proj.weight, module.out_proj.bias)


def test_against_a_written_out_decoder():
    """Post-norm layers; the shared norm is on each returned state, not on what the next layer reads."""
    decoder = make_decoder()
    feature = torch.randn(2, 10, 3, 5, dtype=torch.float64)
    memory = F.conv2d(feature, decoder.input_projection.weight, decoder.input_projection.bias)
    position = sine_position_encoding(3, 5, 32).double().flatten(1).T
    memory = memory.flatten(2).transpose(1, 2)
    q = decoder.query_embedding.weight[None].expand(2, -1, -1)
    t = torch.zeros_like(q)
    expected = []
    for layer in decoder.layers:
        t = layer.self_norm(t + attention(layer.self_attention, t + q, t + q, t))
        t = layer.cross_norm(t + attention(layer.cross_attention, t + q, memory + position, memory))
        t = layer.feedforward_norm(t + layer.contract(F.relu(layer.expand(t))))
        expected.append(decoder.norm(t))
    found = decoder.train()(feature)
    assert found.shape == (3, 2, 7, 32)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-10, atol=1e-10)


def test_eval_returns_the_final_state_only():
    """Equal to the last state of train mode when nothing is dropped."""
    decoder = make_decoder()
    feature = torch.randn(2, 10, 3, 5, dtype=torch.float64)
    train, final = decoder.train()(feature), decoder.eval()(feature)
    assert final.shape == (1, 2, 7, 32)
    torch.testing.assert_close(final[0], train[-1], rtol=1e-10, atol=1e-10)


def test_dropout_acts_in_train_mode_only():
    """On attention weights, residuals and hidden units: the setting reaches all of them."""
    decoder = make_decoder(dropout=0.1)
    feature = torch.randn(1, 10, 2, 2, dtype=torch.float64)
    assert not torch.equal(decoder.train()(feature), decoder(feature))
    decoder.eval()
    assert torch.equal(decoder(feature), decoder(feature))
    for layer in decoder.layers:
        assert layer.self_attention.dropout == layer.cross_attention.dropout == layer.dropout.p == 0.1


def test_initial_values():
    """Xavier-uniform for matrices (packed projections as one: .0765), N(0, 1) for the query embeddings."""
    torch.manual_seed(0)
    decoder = TransformerDecoder(
        channels=2048, queries=100, dim=256, heads=8, feedforward_dim=2048, layers=2, dropout=0.1
    )
    projection = decoder.input_projection
    assert math.isclose(projection.weight.abs().max().item(), 0.03827, abs_tol=1e-5)
    assert (projection.bias == 0).all()
    for layer in decoder.layers:
        for module in (layer.self_attention, layer.cross_attention):
            assert math.isclose(module.in_proj_weight.abs().max().item(), 0.0765, abs_tol=1e-4)
            assert (module.in_proj_bias == 0).all() and (module.out_proj.bias == 0).all()
            assert math.isclose(module.out_proj.weight.abs().max().item(), math.sqrt(6 / 512), abs_tol=1e-4)
        for linear in (layer.expand, layer.contract):
            assert math.isclose(linear.weight.abs().max().item(), math.sqrt(6 / 2304), abs_tol=1e-4)
            assert 0 < linear.bias.abs().max().item() <= 1 / math.sqrt(linear.in_features)
    queries = decoder.query_embedding.weight
    assert abs(queries.mean().item()) < 0.02 and abs(queries.std().item() - 1) < 0.02
    assert not torch.equal(decoder.layers[0].expand.weight, decoder.layers[1].expand.weight)
