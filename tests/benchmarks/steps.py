"""Training steps of ours and of other programs on a CPU, in turn in one process, and the memory of each in its own.

    python -m tests.benchmarks.steps --size paper --images 2 --steps 24 --output docs/results/speed   # 35 minutes
    python -m tests.benchmarks.steps --size paper --programs SimFormer, SimFormer+ --output DIR --name plus
    python -m tests.benchmarks.steps --size tiny
    python -m tests.benchmarks.steps --page docs/results/speed/steps.json          # the page again from its numbers

The paper's size is COCO-Stuff: ResNet-50, crops of 640, 171 classes, 100 queries. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from simformer.machine.memory import keep_freed_memory
from simformer.text.json_text import json_text
from tests.benchmarks.steps_page import page
from tests.gpu.hugging_face import training_step as hugging_face_step
from tests.gpu.machine import machine
from tests.gpu.timing import Step, Times, time_in_turn
from tests.reference.step import plain_step
from tests.workloads import COCO, TINY, Case, build, resized, with_terms_of_plus

SIZES = {"tiny": TINY, "paper": COCO}
PROGRAMS: dict[str, Callable[[Case], Step]] = {
    "SimFormer, bf16": lambda case: build(case, "simformer", precision="bf16").step,
    "SimFormer, fp32": lambda case: build(case, "simformer", precision="fp32").step,
    "SimFormer+, bf16": lambda case: build(case, "simformer", precision="bf16", wrap=with_terms_of_plus).step,
    "SimFormer+, fp32": lambda case: build(case, "simformer", precision="fp32", wrap=with_terms_of_plus).step,
    "MaskFormer, bf16": lambda case: build(case, "maskformer", precision="bf16").step,
    "MaskFormer, fp32": lambda case: build(case, "maskformer", precision="fp32").step,
    "transcribed SimFormer, fp32": lambda case: plain_step(case, "simformer"),
    "Hugging Face's MaskFormer, fp32": lambda case: hugging_face_step(case, "cpu", None, False),
    "Hugging Face's MaskFormer, bf16": lambda case: hugging_face_step(case, "cpu", torch.bfloat16, False),
}
"""What is timed; the other programs run as they are shipped, Hugging Face's with autocast, too."""
MEMORY_STEPS = 3
"""Steps after which a child process tells its peak memory."""
WARM_UP = 2
"""Steps of each program before those that are timed."""


def summary(times: Times) -> dict[str, Any]:
    """Return median and quartiles, seconds, and how many there were."""
    low, high = times.quartiles
    return {"median": times.median, "quartiles": [low, high], "steps": len(times.seconds)}


def ratios(found: Mapping[str, Times], first: str) -> dict[str, dict[str, Any]]:
    """Return how many times as long every other program takes as one, round by round."""
    return {
        name: summary(Times(tuple(b / a for a, b in zip(found[first].seconds, times.seconds, strict=True))))
        for name, times in found.items()
        if name != first
    }


def peak_memory(program: str, options: argparse.Namespace) -> int:
    """Run a program in a process of its own, which tells its largest resident memory, bytes."""
    command = [sys.executable, "-m", "tests.benchmarks.steps", "--child", program, "--size", options.size]
    command += ["--images", str(options.images), "--threads", str(options.threads)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{program}: {result.stderr.strip()}")
    return int(result.stdout.split()[-1])


def child(program: str, case: Case) -> int:
    """Run a few steps, and return the largest resident memory of this process, bytes."""
    step = PROGRAMS[program](case)
    for _ in range(MEMORY_STEPS):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Weigh and time programs."""
    names = [name for name in PROGRAMS if not options.programs or name.startswith(tuple(options.programs))]
    memory = {name: peak_memory(name, options) for name in names}
    steps = {name: PROGRAMS[name](case) for name in names}
    found = time_in_turn(steps, "cpu", options.steps, WARM_UP, float("inf"))
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine("cpu") | {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]},
        "case": {name: getattr(case, name) for name in ("name", "backbone", "crop", "classes", "queries", "images")},
        "programs": {name: summary(times) | {"memory": memory[name]} for name, times in found.items()},
        "ratios": {name: ratios(found, name) for name in names if name.startswith("SimFormer,")},
    }


def write(result: Mapping[str, Any], folder: Path | None, name: str, page: Callable[[Mapping[str, Any]], str]) -> None:
    """Write numbers and their page into a folder, or print the page if there is none."""
    if folder is None:
        print(page(result))
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json_text(result, indent=1) + "\n")
    (folder / f"{name}.md").write_text(page(result))


def main() -> None:
    """Measure, and write or print the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.steps", description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--images", type=int, default=2, help="images of a step")
    parser.add_argument("--steps", type=int, default=24, help="timed steps of each program")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch")
    parser.add_argument("--programs", nargs="*", help="only those whose name begins with one of these")
    parser.add_argument(
        "--output", type=Path, help="folder of the page and its numbers; by default the page is printed"
    )
    parser.add_argument("--name", default="steps", help="name of both files, without their endings")
    parser.add_argument("--page", type=Path, help="only make the page of these numbers again")
    parser.add_argument("--child", choices=PROGRAMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.page:
        options.page.with_suffix(".md").write_text(page(json.loads(options.page.read_text())))
        return
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    case = resized(SIZES[options.size], images=options.images)
    if options.child:
        print(child(options.child, case))
        return
    write(measure(case, options), options.output, options.name, page)


if __name__ == "__main__":
    main()
