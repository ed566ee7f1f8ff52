"""Every loss on a toy batch against the authors' released code (tests/golden/simformer_toy.json)."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.equations.toy import (
    CASES,
    GOLDEN,
    complementary,
    distillation,
    fill,
    golden_numbers,
    matched,
    new_simnet,
    proposal_losses,
    similarity,
)

TOLERANCE = dict(abs=1e-4)


class PlainSimNet(nn.Module):
    """SimNet written naively: concatenate every pair, then a plain residual network."""

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList()
        for width, projected in ((512, True), (256, False), (256, False)):
            self.weights += [
                torch.empty(256, width),
                torch.empty(256),
                torch.empty(256, 256),
                torch.empty(256),
            ]
            self.weights += [torch.ones(256), torch.zeros(256), torch.ones(256), torch.zeros(256)]
            self.weights += [torch.empty(256, width), torch.empty(256)] if projected else []
        self.weights += [torch.empty(2, 256), torch.empty(2)]
        kinds = ["linear"] * 4 + ["norm.weight", "norm.bias"] * 2
        fill(zip(kinds + ["linear"] * 2 + kinds * 2 + ["linear"] * 2, self.weights, strict=True))

    def forward(self, a, b):
        pairs = [[torch.cat([pixel.expand_as(row), row], 1) for pixel in rows] for rows, row in zip(a, b, strict=True)]
        x = torch.stack([torch.stack(grid) for grid in pairs])
        shape, x = x.shape[:-1], x.flatten(0, 2)
        rest = list(self.weights)
        for projected in (True, False, False):
            w1, b1, w2, b2, g1, c1, g2, c2 = rest[:8]
            u = F.relu(F.batch_norm(F.linear(x, w1, b1), None, None, g1, c1, training=True))
            v = F.relu(F.batch_norm(F.linear(u, w2, b2), None, None, g2, c2, training=True))
            rest = rest[8:]
            if projected:
                x, rest = F.relu(F.linear(x, *rest[:2])), rest[2:]
            x = v + x
        return F.linear(x, *rest).softmax(-1)[:, 1].view(shape)


SIMNETS = pytest.mark.parametrize("simnet", [PlainSimNet, new_simnet])


@pytest.mark.parametrize(("case", "extra_pixel", "remap"), CASES)
def test_matching_and_proposal_losses(case, extra_pixel, remap):
    expected = GOLDEN[case]
    assert matched(extra_pixel, remap) == expected["pairs"]
    for name, value in proposal_losses(extra_pixel, remap).items():
        assert value == pytest.approx(expected[name], **TOLERANCE), name


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("part", ["focal", "dice"])
def test_complementary_loss_of_one_image(image, part):
    assert complementary(image, part) == pytest.approx(GOLDEN["comp_per_image"][image][part], **TOLERANCE)


@SIMNETS
def test_similarity_loss(simnet):
    loss, counts = similarity(simnet())
    assert counts == {"counts": [[1, 1], [0, 8]]}  # weights .9 and .1
    assert loss == pytest.approx(GOLDEN["sim"], **TOLERANCE)


@SIMNETS
@pytest.mark.parametrize("student", ["cross", "same"])
@pytest.mark.parametrize("form", ["bce", "cce"])
def test_distillation_loss(simnet, student, form):
    assert distillation(simnet(), student, form) == pytest.approx(GOLDEN["dist"][student][form], **TOLERANCE)


def test_all_numbers_that_a_card_is_checked_with():
    numbers = golden_numbers("cpu")
    assert len(numbers) == 4 * 4 + 2 * 2 + 1 + 2 * 2
    for name, (value, expected) in numbers.items():
        assert value == pytest.approx(expected, **TOLERANCE), name
