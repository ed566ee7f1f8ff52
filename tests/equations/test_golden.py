"""Every loss on a toy batch against the authors' released code (tests/golden/simformer_toy.json)."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from simformer.data.targets import make_target
from simformer.losses.complementary import complementary_loss
from simformer.losses.grid import to_grid
from simformer.losses.matching import match
from simformer.losses.sampling import gather_points
from simformer.losses.similarity import PairBalance, class_scores
from simformer.losses.total import SimFormerLoss
from simformer.models.simnet import SimNet
from simformer.settings import LossSettings, MatchingSettings, SimilaritySettings
from tests.equations.one_pair import distillation_loss, similarity_loss

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "simformer_toy.json").read_text())
NOVEL, LOSS = (2, 5, 7), LossSettings(gamma=0.05)
TOLERANCE = dict(abs=1e-4)


def grid(*sizes):
    return torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in sizes), indexing="ij")


@pytest.fixture
def output():
    b, q, c = grid(2, 6, 9)
    class_logits = 2 * torch.sin(1.3 * b + 0.7 * q + 1.1 * c + 0.2 * q * c)
    b, q, y, x = grid(2, 6, 8, 8)
    mask_logits = 3 * torch.sin(0.5 * b + 0.9 * q + 0.4 * y + 0.3 * x * (1 + 0.1 * q))
    b, c, y, x = grid(2, 256, 8, 8)
    embeddings = 0.5 * torch.sin(0.013 * c * (1 + y) + 0.37 * x + 0.5 * b + 0.11 * c)
    logits = class_logits[None].float(), mask_logits[None].float()
    return SimpleNamespace(class_logits=logits[0], mask_logits=logits[1], embeddings=embeddings.float())


def new_targets(extra_pixel=False):
    """The two toy images; their novel pixels are hidden and novel classes known by image-level label."""
    first, second = torch.full((2, 32, 32), 255, dtype=torch.uint8)
    first[:16, :16], first[16:, :12] = 0, 3
    if extra_pixel:
        first[5, 5] = 1
    second[:14], second[14:30, 20:] = 3, 1
    pad_first, pad_second = torch.zeros(2, 32, 32, dtype=torch.bool)
    pad_first[:, 28:], pad_second[30:] = True, True
    return [make_target(first, pad_first, [2, 5]), make_target(second, pad_second, [5])]


def fill(parameters):
    """Give parameters, in the reference's order, the toy values (batch norm: weight 1, bias 0)."""
    for ordinal, (kind, parameter) in enumerate(parameters):
        values = 0.1 * torch.sin(0.1 * torch.arange(parameter.numel(), dtype=torch.float64) + ordinal)
        if kind != "linear":
            values.fill_(kind == "norm.weight")
        with torch.no_grad():
            parameter.copy_(values.view_as(parameter))


def reference_order(block):
    """Kind and parameter of a block's two linear layers and two norms, in the reference's order."""
    linears = [("linear", p) for layer in (block.linear1, block.linear2) for p in (layer.weight, layer.bias)]
    norms = [(f"norm.{n}", getattr(norm, n)) for norm in (block.norm1, block.norm2) for n in ("weight", "bias")]
    return linears + norms


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


def project_simnet():
    simnet = SimNet(256, 256)
    first, second, third = simnet.blocks
    projection = [("linear", simnet.projection.weight), ("linear", simnet.projection.bias)]
    head = [("linear", simnet.head.weight), ("linear", simnet.head.bias)]
    fill(reference_order(first) + projection + reference_order(second) + reference_order(third) + head)
    return simnet


SIMNETS = pytest.mark.parametrize("simnet", [PlainSimNet, project_simnet])


@pytest.mark.parametrize(
    ("case", "extra_pixel", "remap"),
    [
        ("A", False, True),
        ("A", False, False),
        ("B_columns_kept", True, False),
        ("B_columns_mapped_back", True, True),
    ],
)
def test_matching_and_proposal_losses(output, case, extra_pixel, remap):
    expected, targets = GOLDEN[case], new_targets(extra_pixel)
    settings = MatchingSettings(remap_columns=remap)
    matches = match(output.class_logits, output.mask_logits, targets, settings)
    for image, pairs in enumerate(expected["pairs"]):
        here = matches.image == image
        start = image * len(targets[0].class_ids)
        assert matches.query[here].tolist() == pairs["queries"]
        assert (matches.row[here] - start).tolist() == pairs["targets"]
    loss = SimFormerLoss(LOSS, settings, SimilaritySettings(), NOVEL)
    masks = sum(int(t.has_mask.sum()) for t in targets)
    terms = loss(output, targets, num_masks=masks, num_groups=1)
    assert terms["cls"].item() == pytest.approx(expected["cls"], **TOLERANCE)
    assert terms["focal"].item() / LOSS.focal == pytest.approx(expected["focal"], **TOLERANCE)
    assert terms["dice"].item() / LOSS.dice == pytest.approx(expected["dice"], **TOLERANCE)
    assert terms["comp"].item() / LOSS.beta == pytest.approx(expected["comp"], **TOLERANCE)


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("part", ["focal", "dice"])
def test_complementary_loss_of_one_image(output, image, part):
    target = new_targets()[image]
    class_logits, mask_logits = output.class_logits[:, [image]], output.mask_logits[:, [image]]
    matches = match(class_logits, mask_logits, [target], MatchingSettings())
    settings = LossSettings(gamma=0.05, focal=float(part == "focal"), dice=float(part == "dice"))
    logits = mask_logits[matches.layer, matches.image, matches.query]
    region = ((target.label_map == 255) & ~target.padding)[None]
    loss = complementary_loss(logits, matches, region, 1, settings, 1, 1)
    assert loss.item() == pytest.approx(GOLDEN["comp_per_image"][image][part], **TOLERANCE)


def first_points(region, count):
    """The region's first pixels in raster order, then the first ones outside it."""
    return region.int().argsort(dim=1, descending=True, stable=True)[:, :count]


@pytest.fixture
def labels():
    """Class ids of the toy pair at the embedding grid, and its padding."""
    targets = new_targets()
    maps = torch.stack([t.label_map for t in targets]), torch.stack([t.padding for t in targets])
    return tuple(to_grid(m, (8, 8)).flatten(1) for m in maps)


@SIMNETS
def test_similarity_loss(output, labels, simnet):
    ids, padding = labels
    region = ids == 3
    points = torch.cat([first_points(region, 8), first_points(~region & ~padding, 2)], dim=1)
    features = gather_points(output.embeddings.flatten(2), points)
    balance = PairBalance(window=25, stride=5)
    loss = similarity_loss(features, ids.gather(1, points), simnet(), balance)
    assert balance.state_dict() == {"counts": [[1, 1], [0, 8]]}  # weights .9 and .1
    assert loss.item() == pytest.approx(GOLDEN["sim"], **TOLERANCE)


@SIMNETS
@pytest.mark.parametrize("student", ["cross", "same"])
@pytest.mark.parametrize("form", ["bce", "cce"])
def test_distillation_loss(output, labels, simnet, student, form):
    points = first_points(labels[0] == 255, 10)
    features = gather_points(output.embeddings.flatten(2), points)
    mask_logits = gather_points(output.mask_logits[0].flatten(2), points)
    scores = class_scores(output.class_logits[0], mask_logits, torch.tensor(NOVEL))
    settings = SimilaritySettings(student=student, form=form)
    loss = distillation_loss(scores, features, simnet(), settings)
    assert loss.item() == pytest.approx(GOLDEN["dist"][student][form], **TOLERANCE)
