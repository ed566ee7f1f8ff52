"""SimNet: golden numbers, the factorised first layer, batch statistics over all pairs."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from simformer.models.simnet import SimNet

# Output of the released SimNet in train mode (specification, case C).
GOLDEN = [0.583324, 0.590032, 0.587435, 0.591002, 0.591165, 0.590895, 0.59993, 0.587328, 0.611865]
GOLDEN += [0.586474, 0.588385, 0.587891, 0.581677, 0.579554, 0.586489, 0.597878, 0.611381, 0.578844]


def wave(shape: torch.Size, scale: float, step: float, start: float = 0.0) -> torch.Tensor:
    """The golden set-up's deterministic numbers: scale * sin(step * index + start)."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return (scale * torch.sin(step * index + start)).float().view(shape)


def concatenated_pairs(net: SimNet, pairs: torch.Tensor) -> torch.Tensor:
    """Run SimNet on pairs that are already concatenated, [P, 2 C] -> [P]."""
    return net.similarity(net.blocks[0].linear1(pairs)[:, None], net.projection(pairs).relu()[:, None])[:, 0]


def plain_forward(net: SimNet, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """SimNet layer by layer on what it gets of all pairs, with the norms written out."""

    def norm(x, layer):
        if isinstance(layer, nn.Identity):
            return x
        dim = 0 if isinstance(layer, nn.BatchNorm1d) else 1
        y = (x - x.mean(dim, keepdim=True)) / torch.sqrt(x.var(dim, unbiased=False, keepdim=True) + 1e-5)
        return y * layer.weight + layer.bias

    shape = (*a.shape[:2], b.shape[1])
    first, second = a[:, :, None].expand(*shape, -1), b[:, None].expand(*shape, -1)
    pair = [(first - second).abs(), first * second] if net.relational else [first, second]
    x = torch.cat(pair, dim=-1).flatten(0, 2)
    for index, block in enumerate(net.blocks):
        shortcut = torch.relu(net.projection(x)) if index == 0 else x
        u = torch.relu(norm(block.linear1(x), block.norm1))
        x = torch.relu(norm(block.linear2(u), block.norm2)) + shortcut
    scores = net.head(x).exp()
    return (scores[:, 1] / scores.sum(1)).view(shape)


def randomise(net: SimNet) -> SimNet:
    """Give batch norm parameters that matter."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return net


def test_golden_numbers():
    """Case C: deterministic parameters, numbered in the order of the released module."""
    net = SimNet(256, 256).train()
    ordered = []
    for index, block in enumerate(net.blocks):
        ordered += [block.linear1.weight, block.linear1.bias, block.linear2.weight, block.linear2.bias]
        ordered += [block.norm1.weight, block.norm1.bias, block.norm2.weight, block.norm2.bias]
        ordered += [net.projection.weight, net.projection.bias] if index == 0 else []
    ordered += [net.head.weight, net.head.bias]
    norms = {id(p) for m in net.modules() if isinstance(m, nn.BatchNorm1d) for p in m.parameters()}
    with torch.no_grad():
        for ordinal, parameter in enumerate(ordered):
            if id(parameter) not in norms:
                parameter.copy_(wave(parameter.shape, 0.1, 0.1, ordinal))
        x = wave(torch.Size([2, 512, 3, 3]), 0.3, 0.05)
        found = concatenated_pairs(net, x.permute(0, 2, 3, 1).reshape(18, 512))
    assert found.tolist() == pytest.approx(GOLDEN, abs=1e-4)


def test_parameter_count():
    """Golden count at C = 256, width 256."""
    assert sum(p.numel() for p in SimNet(256, 256).parameters()) == 595_202


@pytest.mark.parametrize("relational", [False, True])
@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_equals_the_network_layer_by_layer(norm, relational):
    """Outputs and gradients in float64; two directions, different numbers of pixels."""
    torch.manual_seed(0)
    net = randomise(SimNet(6, 10, norm, relational)).double().train()
    a = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    b = torch.randn(2, 7, 6, dtype=torch.float64, requires_grad=True)
    found, expected = net(a, b), plain_forward(net, a, b)
    assert found.shape == (2, 5, 7)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    inputs = [a, b, *net.parameters()]
    goal = torch.randn_like(found)
    for one, other in zip(
        torch.autograd.grad((found * goal).sum(), inputs),
        torch.autograd.grad((expected * goal).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_concatenated_pairs_are_never_built():
    """No tensor of a forward pass reaches D * J * I * 2 C elements, or has 2 C columns per pair."""
    dim, width, directions, points = 24, 8, 2, 15
    largest = []

    class Watch(TorchDispatchMode):
        """Records the size of every result."""

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            """Run the operator and look at what it returns."""
            result = func(*args, **(kwargs or {}))
            results = result if isinstance(result, tuple | list) else [result]
            largest.extend(r.numel() for r in results if isinstance(r, torch.Tensor))
            return result

    net = SimNet(dim, width)
    with Watch():
        net(torch.randn(directions, points, dim), torch.randn(directions, points, dim))
    assert max(largest) == directions * points * points * width


def test_batch_statistics_span_both_directions():
    """One call normalises over all D * J * I pairs: in train mode the directions influence each other."""
    torch.manual_seed(0)
    net = randomise(SimNet(6, 10)).double()
    a, b = torch.randn(2, 4, 6, dtype=torch.float64), torch.randn(2, 4, 6, dtype=torch.float64)
    other_a = torch.cat([a[:1], a[1:] + 1])
    net.train()
    assert not torch.allclose(net(a, b)[0], net(other_a, b)[0])
    net.eval()
    assert torch.allclose(net(a, b)[0], net(other_a, b)[0])


def test_each_call_in_train_mode_updates_the_running_statistics():
    """Momentum .1 with the statistics of the first layer's output over all pairs."""
    torch.manual_seed(0)
    net = SimNet(6, 10).double().train()
    a, b = torch.randn(2, 4, 6, dtype=torch.float64), torch.randn(2, 3, 6, dtype=torch.float64)
    before = copy.deepcopy(net.blocks[0].linear1)
    with torch.no_grad():
        net(a, b)
        pairs = torch.stack([torch.cat([a[d, j], b[d, i]]) for d in range(2) for j in range(4) for i in range(3)])
        hidden = before(pairs)
    norm = net.blocks[0].norm1
    torch.testing.assert_close(norm.running_mean, 0.1 * hidden.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * hidden.var(0))
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize(("norm", "relational"), [("layer", False), ("none", True)])
def test_without_batch_norm_a_pair_does_not_depend_on_the_others(norm, relational):
    torch.manual_seed(0)
    net = randomise(SimNet(6, 10, norm, relational)).train()
    a, b = torch.randn(2, 4, 6), torch.randn(2, 3, 6)
    torch.testing.assert_close(net(a, b)[:, 1:2, 2:], net(a[:, 1:2], b[:, 2:]))
    assert not dict(net.named_buffers())


def test_relations_do_not_depend_on_the_order_of_a_pair():
    torch.manual_seed(0)
    net = SimNet(6, 10, relational=True).eval()
    a, b = torch.randn(2, 4, 6), torch.randn(2, 3, 6)
    torch.testing.assert_close(net(a, b), net(b, a).mT)


@pytest.mark.parametrize(
    ("training", "options"), [(True, {}), (False, {}), (True, {"relational": True}), (True, {"norm": "layer"})]
)
def test_image_pairs_at_once_are_as_image_pairs_one_after_the_other(training, options):
    """Outputs, gradients and running statistics of three pairs; the second is far from the others."""
    torch.manual_seed(0)
    net = randomise(SimNet(6, 10, **options)).double().train(training)
    other = copy.deepcopy(net)
    a = torch.randn(3, 2, 5, 6, dtype=torch.float64) + torch.tensor([0.0, 3.0, 0.0])[:, None, None, None]
    b, goal = torch.randn(3, 2, 4, 6, dtype=torch.float64), torch.randn(3, 2, 5, 4, dtype=torch.float64)
    found, expected = net(a, b), torch.stack([other(*pair) for pair in zip(a, b, strict=True)])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for result in (found, expected):
        (result * goal).sum().backward()
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(dict(net.named_buffers()), dict(other.named_buffers()), rtol=1e-12, atol=1e-12)
