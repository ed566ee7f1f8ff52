"""What each optimisation of a training step is worth on a CPU: the step without it, in turn with the step as it is.

    python -m tests.benchmarks.optimisations --size paper --steps 24 --output docs/results/speed   # 23 minutes
    python -m tests.benchmarks.optimisations --size tiny --steps 3

All are steps of SimFormer in bf16, in one process. The page also tells what was tried and did not pay.
"""

from __future__ import annotations

import argparse
import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from simformer import build as building
from simformer.losses import focal_dice, pixel_losses, similarity
from simformer.losses.chunks import map_rows
from simformer.losses.precision import promote
from simformer.machine.memory import keep_freed_memory
from simformer.models import backbone
from simformer.models.torchvision_ops import torchvision
from simformer.text.json_text import json_text
from simformer.training.schedule import build_optimizer
from tests.benchmarks.steps import SIZES, ratios, summary
from tests.benchmarks.steps_page import spread, table
from tests.gpu.machine import machine
from tests.gpu.timing import Step, time_in_turn
from tests.workloads import Case, build, resized

AS_IT_IS = "as it is"
NOT_PAID = (
    "Softplus of the matching costs as logarithms of sigmoids: 8 % of a part that is 6 % of the step.",
    "A table of the losses by all values of bf16, in place of their arithmetic: not built; at best 5 % of the step.",
    "Mask logits with a gradient for matched queries only: not built; their whole gradient takes 3 % of the step.",
    "All image pairs through SimNet at once: leaves a CPU's cache, so that only a GPU does it.",
    "JPEG decoding at reduced size: sizes drawn in training are seldom below half of a photograph's.",
    "torch.compile on a CPU: a minute and more at the start; off by default.",
)
"""Measured by hand on single threads, or estimated from a profile."""


def _autograd(logits: torch.Tensor, masks: torch.Tensor, floor: float, weights: pixel_losses.Weights) -> torch.Tensor:
    """Return the losses on pixels as single precision has them."""
    pixels = logits.shape[1] * masks.shape[1] * masks.shape[2]
    return map_rows(lambda z, t: pixel_losses._plain(z, t, floor, weights), pixels, promote(logits), masks)


def _not_fused(modules: Any, network: Any, settings: Any) -> torch.optim.AdamW:
    return build_optimizer(modules, network, settings.model_copy(update={"precision": "fp32"}))


WITHOUT: dict[str, tuple[Any, str, Any]] = {
    "feature maps channels-last": (torch, "channels_last", torch.contiguous_format),
    "frozen batch norm in the maps' precision": (
        backbone,
        "frozen_batch_norm",
        lambda: torchvision.ops.FrozenBatchNorm2d,
    ),
    "gradient of the pixel losses found with them": (pixel_losses._WithGradient, "apply", _autograd),
    "SimNet in bf16": (similarity, "_similarities", lambda net, x: promote(net(promote(x), promote(x).flip(1)))),
    "matching in the cache": (focal_dice, "PIXELS_IN_CACHE", 2**62),
    "fused AdamW": (building, "build_optimizer", _not_fused),
}
"""What is replaced for a step without an optimisation: owner, name, what stands there instead."""


def steps(case: Case) -> dict[str, Step]:
    """Return the step as it is, without each optimisation, and in single precision."""
    found = {AS_IT_IS: build(case, "simformer", precision="bf16").step}
    for name, replaced in WITHOUT.items():
        with mock.patch.object(*replaced):
            step = build(case, "simformer", precision="bf16").step
        found[f"without {name}"] = _patched(step, replaced)
    return found | {"in fp32": build(case, "simformer", precision="fp32").step}


def _patched(step: Step, replaced: tuple[Any, str, Any]) -> Step:
    def run() -> None:
        with mock.patch.object(*replaced):
            step()

    return run


def page(result: Mapping[str, Any]) -> str:
    """Return the page, Markdown."""
    machine, case = result["machine"], result["case"]
    rows = [
        [name, *spread(times, 1, 3), *(spread(result["ratios"][name], 1, 2) if name in result["ratios"] else ["", ""])]
        for name, times in result["steps"].items()
    ]
    lines = [
        "# What each optimisation of a step is worth on a CPU",
        "",
        "Made by `python -m tests.benchmarks.optimisations`; do not edit. Steps of SimFormer in bf16, without one",
        "optimisation at a time, all in turn in one process; ratios are taken round by round.",
        "",
        f"{result['date']}; {machine['processor']}, {machine['threads']} threads; "
        f"PyTorch {machine['libraries']['torch']}; load of the machine at the end {machine['load']:.1f}. Case "
        f"{case['name']}: {case['images']} images of {case['crop']} x {case['crop']}.",
        "",
        *table(["step", "median, s", "quartiles", "times as long", "quartiles"], rows),
        "",
        "## What did not pay, or was not built",
        "",
        *(f"- {line}" for line in NOT_PAID),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write or print the page."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.optimisations", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--images", type=int, default=2, help="images of a step")
    parser.add_argument("--steps", type=int, default=24, help="timed steps of each")
    parser.add_argument("--output", type=Path, help="folder of the JSON and the page; by default the page is printed")
    options = parser.parse_args()
    keep_freed_memory()
    case = resized(SIZES[options.size], images=options.images)
    found = time_in_turn(steps(case), "cpu", options.steps, 2, float("inf"))
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine("cpu") | {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]},
        "case": {name: getattr(case, name) for name in ("name", "crop", "images")},
        "steps": {name: summary(times) for name, times in found.items()},
        "ratios": ratios(found, AS_IT_IS),
    }
    if options.output is None:
        print(page(result))
        return
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "optimisations.json").write_text(json_text(result, indent=1) + "\n")
    (options.output / "optimisations.md").write_text(page(result))


if __name__ == "__main__":
    main()
