"""Parts of a training step and of an evaluation: ours, another program's, and what no program can leave out.

    python -m tests.benchmarks.parts --size paper --steps 24 --output docs/results/speed   # 3 minutes
    python -m tests.benchmarks.parts --size tiny

All of a part take turns on the same data, in one process. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F

from simformer.config.settings import IGNORE, LossSettings
from simformer.losses.chunks import PIXELS_IN_CACHE
from simformer.losses.matching import match
from simformer.losses.total import SimFormerLoss, total
from simformer.machine.memory import keep_freed_memory
from simformer.metrics import confusion_matrix
from simformer.models.simnet import SimNet
from tests.benchmarks.steps import SIZES, WARM_UP, ratios, summary, write
from tests.benchmarks.steps_page import circumstances, line, spread, table
from tests.gpu.machine import machine
from tests.gpu.timing import Step, time_in_turn
from tests.reference.losses import PlainLoss, labelled
from tests.reference.losses import match as plain_match
from tests.reference.network import PlainSimNet
from tests.workloads import Case, new_groups, resized

TARGETS = {"matching": 10, "SimNet part": 5, "confusion matrix": 5}
"""How many times as fast a part should be."""


class Part(NamedTuple):
    """The ways to do a part of the work."""

    ours: Step
    other: Step
    """The released way, transcribed, or another library's."""
    least: Step | None = None
    """What no exact program can leave out, as PyTorch does it at its fastest."""


def parts(case: Case) -> dict[str, Part]:
    """Return every part: matching, SimNet's two losses with their gradients, confusion matrix."""
    return {
        "matching": matching(case, torch.float32),
        "matching, ours in bf16": matching(case, torch.bfloat16),
        "SimNet part": simnet_part(case, torch.float32),
        "SimNet part, ours in bf16": simnet_part(case, torch.bfloat16),
        "confusion matrix (against torchmetrics)": confusion(case),
    }


def output_of(case: Case, dtype: torch.dtype = torch.float32) -> SimpleNamespace:
    """Random logits and embeddings of a step, as the network gives them in a precision."""
    generator, model = torch.Generator().manual_seed(0), case.settings("simformer").model
    layers, side = model.decoder_layers, case.crop // 4

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype).requires_grad_()

    return SimpleNamespace(
        class_logits=normal(layers, case.images, case.queries, case.classes + 1),
        mask_logits=normal(layers, case.images, case.queries, side, side),
        embeddings=normal(case.images, model.dim, side, side),
    )


def matching(case: Case, dtype: torch.dtype) -> Part:
    """All layers and images of a step; the released way goes through them one by one, in single precision."""
    output, exact, settings = output_of(case, dtype), output_of(case), case.settings("simformer").matching
    targets = [target for group in new_groups(case, "simformer") for target in group.targets]
    images = [labelled(target) for target in targets]

    def ours() -> object:
        return match(output.class_logits, output.mask_logits, targets, settings)

    def plain() -> object:
        return [
            plain_match(*logits, image, settings)
            for layer in zip(exact.class_logits, exact.mask_logits, strict=True)
            for *logits, image in zip(*layer, images, strict=True)
        ]

    @torch.no_grad()
    def least() -> None:
        for layer in exact.mask_logits.flatten(3):
            for some in layer.flatten(0, 1).split(max(1, PIXELS_IN_CACHE // layer.shape[-1])):
                some.sigmoid()
                F.softplus(some)

    return Part(ours, plain, least)


def simnet_part(case: Case, dtype: torch.dtype) -> Part:
    """L_sim and L_dist of all pairs of a step, forward and backward; the released way is in single precision."""
    output, exact, settings = output_of(case, dtype), output_of(case), case.settings("simformer")
    only = LossSettings(cls=0, focal=0, dice=0, beta=0)
    sections = only, settings.matching, settings.similarity, range(case.classes - case.novel, case.classes)
    targets = [target for group in new_groups(case, "simformer") for target in group.targets]
    images = [labelled(target) for target in targets]
    simnet, plain_simnet = SimNet(settings.model.dim), PlainSimNet(settings.model.dim)
    plain_simnet.take(simnet.state_dict())
    loss, plain_loss = SimFormerLoss(*sections), PlainLoss(*sections)
    seeds, groups = list(range(case.images // 2)), case.images // 2
    with torch.no_grad():
        matches = match(output.class_logits, output.mask_logits, targets, settings.matching)

    def ours() -> None:
        with mock.patch("simformer.losses.total.match", lambda *_: matches):
            terms = loss(output, targets, num_masks=1, num_groups=groups, simnet=simnet, seeds=seeds)
        total(terms).backward()

    def plain() -> None:
        last = exact.class_logits[-1], exact.mask_logits[-1], exact.embeddings
        terms = []
        for group in range(groups):
            pair = slice(2 * group, 2 * group + 2)
            part = [tensor[pair] for tensor in last]
            terms += plain_loss.transfer(*part, images[pair], plain_simnet, group, seeds[group]).values()
        (sum(terms) / groups).backward()

    return Part(ours, plain, products(case, dtype))


def products(case: Case, dtype: torch.dtype) -> Step:
    """The products of matrices of SimNet's layers behind the first: both losses forward, L_sim backward."""
    settings = case.settings("simformer")
    width, rows = settings.model.simnet_dim, 2 * settings.similarity.points**2
    pairs, weight = torch.randn(rows, width, dtype=dtype), torch.randn(width, width, dtype=dtype)
    layers = 5  # two each in the last two residual blocks, and the second of the first

    def least() -> None:
        for _ in range(layers * case.images // 2):
            for first, second in ((pairs, weight), (pairs, weight), (pairs, weight.mT), (pairs.mT, pairs)):
                first @ second

    return least


def confusion(case: Case) -> Part:
    """One image of 640 x 480 pixels, from ids on the host."""
    importlib.import_module("simformer.models.torchvision_ops")  # first, see there: torchmetrics imports torchvision
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, case.classes, (2, 480, 640)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.1] = IGNORE

    def ours() -> object:
        return confusion_matrix(predicted, truth, case.classes)

    def theirs() -> object:
        ids = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()
        return multiclass_confusion_matrix(*ids, case.classes, ignore_index=IGNORE)

    assert np.array_equal(ours()[:-1, :-1].T, theirs().numpy())
    return Part(ours, theirs)


def page(result: Mapping[str, Any]) -> str:
    """Return the page, Markdown."""
    rows = [
        [
            name,
            *(cell for key in ("ours", "other", "least") for cell in _times(value.get(key))),
            *spread(value["ratio"], 1, 1),
        ]
        for name, value in result["parts"].items()
    ]
    heads = [cell for way in ("ours", "other", "least") for cell in (f"{way}, ms", "quartiles")]
    lines = [
        "# Parts of a training step on a CPU",
        "",
        "Generated by `python -m tests.benchmarks.parts`; do not edit. `other` is the released method, written again",
        "from its description (`tests/reference/`), in single precision, or the library that the row names. `least`",
        "is what no exact program can leave out, as PyTorch does it at its fastest: for the matching one sigmoid and",
        "one softplus of every mask logit, for SimNet the products of matrices of all layers but the first, whose cost",
        "is small. The ways of a part take turns in one process, and each round of turns gives a ratio.",
        "",
        circumstances(result),
        "",
        *table(["part", *heads, "other / ours", "quartiles"], rows),
        "",
        "## Targets",
        "",
        *(_target(name, value) for name, value in result["parts"].items()),
    ]
    return "\n".join(lines) + "\n"


def _times(value: Mapping[str, Any] | None) -> list[str]:
    return spread(value, 1000, 2) if value else ["", ""]


def _target(name: str, value: Mapping[str, Any]) -> str:
    """Return the line of a target; if it was missed, with the ratio that `least` alone would give."""
    wanted = next(number for part, number in TARGETS.items() if name.startswith(part))
    found = line(name, value["ratio"]["median"], wanted)
    if value["ratio"]["median"] >= wanted or "least" not in value:
        return found
    least, ours, other = (value[key]["median"] for key in ("least", "ours", "other"))
    return f"{found} `least` takes {least / ours:.0%} of our time; it alone would be {other / least:.1f} times as fast."


def measure(case: Case, steps: int) -> dict[str, Any]:
    """Time each part, its ways in turn."""
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "case": {name: getattr(case, name) for name in ("name", "backbone", "crop", "classes", "queries", "images")},
        "parts": {},
    }
    for name, part in parts(case).items():
        ways = {way: step for way, step in part._asdict().items() if step is not None}
        found = time_in_turn(ways, "cpu", steps, WARM_UP, float("inf"))
        result["parts"][name] = {way: summary(times) for way, times in found.items()} | {
            "ratio": ratios({way: found[way] for way in ("ours", "other")}, "ours")["other"]
        }
    return result | {"machine": machine("cpu") | {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]}}


def main() -> None:
    """Measure, and write or print the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.parts", description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--images", type=int, default=2, help="images of a step")
    parser.add_argument("--steps", type=int, default=24, help="timed rounds of each part")
    parser.add_argument("--output", type=Path, help="folder of the page and its numbers; by default it is printed")
    options = parser.parse_args()
    keep_freed_memory()
    write(measure(resized(SIZES[options.size], images=options.images), options.steps), options.output, "parts", page)


if __name__ == "__main__":
    main()
