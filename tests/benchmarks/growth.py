"""How arithmetic, operator calls and memory of a training step grow with every size; from counts, no clock is read.

    python -m tests.benchmarks.growth     # a few minutes; any machine gives the same numbers

One size at a time is changed of a SimFormer step at the size of COCO-Stuff (two images, single precision), which is
counted on the `meta` device (tests/gate/counting.py); and the number of seeds of the paper's study, whose plan is
counted in calls of Python functions. Writes growth.json, growth.md and growth.png.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.lines import Line2D

from simformer.analysis.figures.style import PAGE, figure_style, line_styles
from simformer.config.layers import read_study
from simformer.study.catalogue import Catalogue
from simformer.study.plan import make_plan
from simformer.text.json_text import json_text
from tests.gate.counting import CARD
from tests.gate.tasks import count
from tests.workloads import COCO, TINY, Case, resized

STEP = "simformer fp32"
AXES = {
    "crop": ("side S of the crop, pixels", STEP, (320, 480, 640, 960)),
    "classes": ("classes K of the dataset", STEP, (60, 120, 171, 240)),
    "labels": ("classes M of an image", STEP, (4, 8, 16, 32)),
    "queries": ("queries N", STEP, (50, 100, 200, 400)),
    "points": ("sampled pixels J", STEP, (50, 100, 200, 400)),
    "images": ("images of a step", STEP, (2, 4, 8, 16)),
    "evaluation": ("classes K, evaluation", "evaluation", (60, 120, 171, 240)),
}
"""What is changed: its meaning, what is counted, and the values; a name that is no size of a case stands for K."""
SEEDS = (1, 2, 4, 8, 16)
STUDY = Path("config/config.yaml")
SHOWN = {
    "flops": ("arithmetic", 1e9, "GFLOP"),
    "operators": ("operator calls", 1, ""),
    "allocated_bytes": ("memory asked for", 2**30, "GiB"),
    "peak_bytes": ("peak memory", 2**30, "GiB"),
}
"""Counts of a step that are shown: name, divisor, unit."""
PLAN = {"calls": ("calls of Python functions", 1, ""), "trainings": ("trainings", 1, "")}


def step_curve(base: Case, axis: str, values: Sequence[int]) -> dict[str, dict[str, int]]:
    """Count a step, or the evaluation of two images, at each value of one size."""
    curve, size = {}, axis if hasattr(base, axis) else "classes"
    for value in values:
        counts = vars(count(AXES[axis][1], resized(base, **{size: value}), CARD).counts)
        curve[str(value)] = {name: counts[name] for name in SHOWN}
        print(f"{axis} {value}", file=sys.stderr)
    return curve


def plan_curve(seeds: Sequence[int]) -> dict[str, dict[str, int]]:
    """Count what the plan of the paper's study takes with so many seeds, and what it holds."""
    curve = {}
    for number in seeds:
        content = read_study([STUDY], [f"seeds={list(range(number))}"])

        def plan(content: Mapping[str, Any] = content) -> object:
            return make_plan(Catalogue(content, str(STUDY), STUDY.parent))

        trainings = len(plan().trainings)  # the first time modules are imported and files are read
        curve[str(number)] = {"calls": calls(plan), "trainings": trainings}
    return curve


def calls(work: Callable[[], object]) -> int:
    """Count the Python functions that some work calls."""
    number = 0

    def profile(_: object, event: str, __: object) -> None:
        nonlocal number
        number += event == "call"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return number


def power(curve: Mapping[str, Mapping[str, int]], name: str) -> float | None:
    """Return the power with which a count grows between the two largest values; None if there is nothing to compare."""
    (small, before), (large, after) = list(curve.items())[-2:]
    if not before[name] or not after[name]:
        return None
    return math.log(after[name] / before[name]) / math.log(int(large) / int(small))


def page(result: Mapping[str, Any]) -> str:
    """Return the page, Markdown."""
    lines = [
        "# How the cost of a training step grows",
        "",
        "Made by `python -m tests.benchmarks.growth`; do not edit. Counts, not timings: any machine gives the same.",
        "A SimFormer step in single precision; but for what is changed:",
        f"{result['case']}.",
        "'Power' is the exponent between the two largest values: 1 is in proportion, 2 as the square, 0 constant.",
        "Peak memory is that of tensors made in the step, without weights and the optimiser's state; it bends where",
        "losses begin to be computed in parts. With K it also changes which classes the images show.",
        "",
        "![Counts against each size, relative to the smallest](growth.png)",
    ]
    for axis, curve in result["curves"].items():
        shown = PLAN if axis == "seeds" else SHOWN
        title = "seeds of the paper's study: its plan" if axis == "seeds" else AXES[axis][0]
        lines += ["", f"## {title[0].upper()}{title[1:]}", ""]
        heads = [
            axis if hasattr(COCO, axis) or axis == "seeds" else "classes",
            *(f"{name}, {unit}" if unit else name for name, _, unit in shown.values()),
        ]
        lines += [f"| {' | '.join(heads)} |", f"|{' ---: |' * len(heads)}"]
        for value, counts in curve.items():
            cells = [_number(counts[name] / divisor) for name, (_, divisor, _) in shown.items()]
            lines.append(f"| {value} | {' | '.join(cells)} |")
        powers = [power(curve, name) for name in shown]
        lines.append(f"| power | {' | '.join('-' if p is None else f'{p:.2f}' for p in powers)} |")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def draw(result: Mapping[str, Any], output: Path) -> None:
    """Draw every curve relative to its first value, on logarithmic axes, as PNG."""
    with figure_style():
        figure, panels = plt.subplots(2, 4, figsize=(PAGE, 0.6 * PAGE), layout="constrained")
        styles = line_styles([*SHOWN, *PLAN])
        for panel, (axis, curve) in zip(panels.flat, result["curves"].items(), strict=False):
            values = [int(value) for value in curve]
            shown = PLAN if axis == "seeds" else SHOWN
            for name, (label, _, _) in shown.items():
                first = next(iter(curve.values()))[name]
                panel.plot(values, [counts[name] / first for counts in curve.values()], label=label, **styles[name])
            panel.plot(values, [value / values[0] for value in values], color="0.7", linewidth=0.7, zorder=0)
            panel.set(xscale="log", yscale="log", title="seeds of the study" if axis == "seeds" else AXES[axis][0])
            panel.set_xticks(values, [str(value) for value in values], minor=False)
            panel.minorticks_off()
            top = max(2.0, *(max(line.get_ydata()) for line in panel.lines))
            ticks = [2**power for power in range(math.ceil(math.log2(top)) + 1)]
            panel.set_yticks(ticks, [f"x{tick}" for tick in ticks])
        handles = [Line2D([], [], label=name, **styles[key]) for key, (name, _, _) in (SHOWN | PLAN).items()]
        title = "grey: in proportion to the size; all relative to the smallest"
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), title=title)
        figure.savefig(output, dpi=100, metadata={"Title": "Growth of a training step"})
        plt.close(figure)


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs/results/speed"), help="folder of the files")
    parser.add_argument(
        "--page", action="store_true", help="only make the page and the figure of the kept numbers again"
    )
    parser.add_argument("--size", choices=("tiny", "paper"), default="paper")
    options = parser.parse_args()
    torch.set_num_threads(1)
    numbers = options.output / "growth.json"
    if not options.page:
        base, axes = resized(COCO, images=2), {axis: values for axis, (_, _, values) in AXES.items()}
        if options.size == "tiny":
            base, axes = resized(TINY, images=2), {"crop": (32, 64), "images": (2, 4)}
        curves = {axis: step_curve(base, axis, values) for axis, values in axes.items()} | {"seeds": plan_curve(SEEDS)}
        case = f"{base.backbone}, {base.images} images of {base.crop} x {base.crop} that show {base.labels} of "
        case += f"{base.classes} classes, {base.queries} queries, {base.points} sampled pixels"
        options.output.mkdir(parents=True, exist_ok=True)
        numbers.write_text(json_text({"case": case, "curves": curves}, indent=1) + "\n")
    result = json.loads(numbers.read_text())
    numbers.with_suffix(".md").write_text(page(result))
    draw(result, numbers.with_suffix(".png"))


if __name__ == "__main__":
    main()
