"""The toy batch of tests/golden/simformer_toy.json, and every loss on it, on any device."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from simformer.config.settings import LossSettings, MatchingSettings, SimilaritySettings
from simformer.data.targets import Target, make_target
from simformer.losses.complementary import complementary_loss
from simformer.losses.grid import to_grid
from simformer.losses.matching import match
from simformer.losses.sampling import gather_points
from simformer.losses.similarity import PairBalance, class_scores
from simformer.losses.total import SimFormerLoss
from simformer.models.simnet import SimNet
from tests.equations.one_pair import distillation_loss, similarity_loss

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "simformer_toy.json").read_text())
NOVEL, LOSS = (2, 5, 7), LossSettings(gamma=0.05)
CASES = (
    ("A", False, True),
    ("A", False, False),
    ("B_columns_kept", True, False),
    ("B_columns_mapped_back", True, True),
)
"""Entry of the golden numbers, whether a class has a single pixel, and whether columns are mapped back."""


def grid(*sizes: int) -> tuple[Tensor, ...]:
    """Return the indices of every cell of a grid, in double precision."""
    return torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in sizes), indexing="ij")


def new_output(device: str = "cpu") -> SimpleNamespace:
    """Return the toy predictions of two images."""
    b, q, c = grid(2, 6, 9)
    class_logits = 2 * torch.sin(1.3 * b + 0.7 * q + 1.1 * c + 0.2 * q * c)
    b, q, y, x = grid(2, 6, 8, 8)
    mask_logits = 3 * torch.sin(0.5 * b + 0.9 * q + 0.4 * y + 0.3 * x * (1 + 0.1 * q))
    b, c, y, x = grid(2, 256, 8, 8)
    embeddings = 0.5 * torch.sin(0.013 * c * (1 + y) + 0.37 * x + 0.5 * b + 0.11 * c)
    logits = class_logits[None].float().to(device), mask_logits[None].float().to(device)
    return SimpleNamespace(class_logits=logits[0], mask_logits=logits[1], embeddings=embeddings.float().to(device))


def new_targets(extra_pixel: bool = False, device: str = "cpu") -> list[Target]:
    """Return the two toy images; their novel pixels are hidden and novel classes known by image-level label."""
    first, second = torch.full((2, 32, 32), 255, dtype=torch.uint8)
    first[:16, :16], first[16:, :12] = 0, 3
    if extra_pixel:
        first[5, 5] = 1
    second[:14], second[14:30, 20:] = 3, 1
    pad_first, pad_second = torch.zeros(2, 32, 32, dtype=torch.bool)
    pad_first[:, 28:], pad_second[30:] = True, True
    targets = [make_target(first, pad_first, [2, 5]), make_target(second, pad_second, [5])]
    return [target.to(device) for target in targets]


def fill(parameters) -> None:
    """Give parameters, in the reference's order, the toy values (batch norm: weight 1, bias 0)."""
    for ordinal, (kind, parameter) in enumerate(parameters):
        values = 0.1 * torch.sin(0.1 * torch.arange(parameter.numel(), dtype=torch.float64) + ordinal)
        if kind != "linear":
            values.fill_(kind == "norm.weight")
        with torch.no_grad():
            parameter.copy_(values.view_as(parameter))


def reference_order(block: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Kind and parameter of a block's two linear layers and two norms, in the reference's order."""
    linears = [("linear", p) for layer in (block.linear1, block.linear2) for p in (layer.weight, layer.bias)]
    norms = [(f"norm.{n}", getattr(norm, n)) for norm in (block.norm1, block.norm2) for n in ("weight", "bias")]
    return linears + norms


def new_simnet(device: str = "cpu") -> SimNet:
    """Return the project's SimNet with the toy weights."""
    simnet = SimNet(256, 256)
    first, second, third = simnet.blocks
    projection = [("linear", simnet.projection.weight), ("linear", simnet.projection.bias)]
    head = [("linear", simnet.head.weight), ("linear", simnet.head.bias)]
    fill(reference_order(first) + projection + reference_order(second) + reference_order(third) + head)
    return simnet.to(device)


def matched(extra_pixel: bool, remap: bool, device: str = "cpu") -> list[dict[str, list[int]]]:
    """Return the queries and targets that are matched in each image."""
    output, targets = new_output(device), new_targets(extra_pixel, device)
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings(remap_columns=remap))
    pairs = []
    for image in range(2):
        here, start = matches.image == image, image * len(targets[0].class_ids)
        pairs.append({"queries": matches.query[here].tolist(), "targets": (matches.row[here] - start).tolist()})
    return pairs


def proposal_losses(extra_pixel: bool, remap: bool, device: str = "cpu") -> dict[str, float]:
    """Return the losses without SimNet, unweighted."""
    targets = new_targets(extra_pixel, device)
    loss = SimFormerLoss(LOSS, MatchingSettings(remap_columns=remap), SimilaritySettings(), NOVEL)
    masks = sum(int(t.has_mask.sum()) for t in targets)
    terms = loss(new_output(device), targets, num_masks=masks, num_groups=1)
    weights = {"cls": 1.0, "focal": LOSS.focal, "dice": LOSS.dice, "comp": LOSS.beta}
    return {name: terms[name].item() / weight for name, weight in weights.items()}


def complementary(image: int, part: str, device: str = "cpu") -> float:
    """Return the 'focal' or 'dice' part of one image's complementary loss."""
    output, target = new_output(device), new_targets(device=device)[image]
    class_logits, mask_logits = output.class_logits[:, [image]], output.mask_logits[:, [image]]
    matches = match(class_logits, mask_logits, [target], MatchingSettings())
    settings = LossSettings(gamma=0.05, focal=float(part == "focal"), dice=float(part == "dice"))
    logits = mask_logits[matches.layer, matches.image, matches.query]
    region = ((target.label_map == 255) & ~target.padding)[None]
    return complementary_loss(logits, matches, region, 1, settings, 1, 1).item()


def first_points(region: Tensor, count: int) -> Tensor:
    """The region's first pixels in raster order, then the first ones outside it."""
    return region.int().argsort(dim=1, descending=True, stable=True)[:, :count]


def labels_on_grid(device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Class ids of the toy pair at the embedding grid, and its padding."""
    targets = new_targets(device=device)
    maps = torch.stack([t.label_map for t in targets]), torch.stack([t.padding for t in targets])
    return tuple(to_grid(m, (8, 8)).flatten(1) for m in maps)


def similarity(simnet: nn.Module, device: str = "cpu") -> tuple[float, dict]:
    """Return L_sim, and the counts of the pair balance after it."""
    ids, padding = labels_on_grid(device)
    region = ids == 3
    points = torch.cat([first_points(region, 8), first_points(~region & ~padding, 2)], dim=1)
    features = gather_points(new_output(device).embeddings.flatten(2), points)
    balance = PairBalance(window=25, stride=5)
    loss = similarity_loss(features, ids.gather(1, points), simnet, balance)
    return loss.item(), balance.state_dict()


def distillation(simnet: nn.Module, student: str, form: str, device: str = "cpu") -> float:
    """Return L_dist with one kind of student and form."""
    output, points = new_output(device), first_points(labels_on_grid(device)[0] == 255, 10)
    features = gather_points(output.embeddings.flatten(2), points)
    mask_logits = gather_points(output.mask_logits[0].flatten(2), points)
    scores = class_scores(output.class_logits[0], mask_logits, torch.tensor(NOVEL, device=device))
    return distillation_loss(scores, features, simnet, SimilaritySettings(student=student, form=form)).item()


def golden_numbers(device: str, simnet: Callable[[str], nn.Module] = new_simnet) -> dict[str, tuple[float, float]]:
    """Return, by name, each loss as it is computed on a device, and as the released code gives it."""
    found = {}
    for case, extra_pixel, remap in CASES:
        for name, value in proposal_losses(extra_pixel, remap, device).items():
            found[f"{case}, {'remapped' if remap else 'as released'}, {name}"] = value, GOLDEN[case][name]
    for image in range(2):
        for part in ("focal", "dice"):
            found[f"comp of image {image}, {part}"] = (
                complementary(image, part, device),
                GOLDEN["comp_per_image"][image][part],
            )
    found["sim"] = similarity(simnet(device), device)[0], GOLDEN["sim"]
    for student, forms in GOLDEN["dist"].items():
        for form, expected in forms.items():
            found[f"dist, {student}, {form}"] = distillation(simnet(device), student, form, device), expected
    return found
