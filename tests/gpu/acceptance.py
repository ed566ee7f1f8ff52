"""The acceptance check of a GPU: numbers, resuming, speed, loading, peers and the demo, as JSON and a page.

    make gpu-check                                             # all of it, 8 minutes on one card
    python -m tests.gpu.acceptance --output DIR                # the same
    python -m tests.gpu.acceptance --output DIR --only a,c     # some parts
    python -m tests.gpu.acceptance --output DIR --size tiny    # the same program on a CPU, in a minute
    python -m tests.gpu.acceptance --output DIR --page-only    # the pages again, from the JSON files in DIR

Every part runs in a process of its own and has its time: one that breaks, hangs or loses the card is reported, and the
next one runs. The JSON, DIR/<name of the card>.json, is written after every part, and the page beside it. The exit
status is 1 if anything failed. docs/hpc.md says what is needed and how the page is read.

Fields of the JSON that others read: `gpu` (the card's name, null on a CPU), `torch`, `commit`, `date`, and
`speed`: case ('coco', 'ade') -> work ('simformer', 'maskformer', 'classifier', ...) -> `seconds` per step,
`images` of a step, `mode` (the precision in which the command trains).
"""

# ruff: noqa: E402 (what is missing is told before it is imported; what the parts use is imported once, before
# they are forked, PyTorch's compiler among it, which every AdamW imports)

from __future__ import annotations

import argparse
import datetime
import faulthandler
import importlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.gpu.needs import require

require()

import torch
import torch._dynamo

import simformer
import simformer.cli
import simformer.train
from simformer.atomic import atomic_write_text
from simformer.errors import UserError
from simformer.text.json_text import json_text
from simformer.training.provenance import code_version
from tests.gpu.page import write_page
from tests.gpu.report import ROOT, Context, Report, tidy
from tests.gpu.sizes import SIZES, Sizes

GRACE = 10.0
"""Seconds between the end of a part's time, when its measurements stop by themselves, and its being killed."""


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes:
        letter: its name on the command line.
        title: for the page.
        run: where `run(context, report)` is, as 'module:function'.
        share: of the time, relative to the others.
    """

    letter: str
    title: str
    run: str
    share: float


PARTS = (
    Part("a", "The card computes what the CPU computes", "tests.gpu.numbers:run", 60),
    Part("b", "Killed and resumed, and on two processes", "tests.gpu.resume:run", 50),
    Part("c", "Speed and memory", "tests.gpu.speed:run", 140),
    Part("d", "Waiting for images", "tests.gpu.loading:run", 35),
    Part("e", "Beside other programs", "tests.gpu.peers:run", 125),
    Part("f", "The demo's SimFormer", "tests.gpu.demo:run", 60),
)


def run_apart(begin: Callable[[Report], None], path: Path, seconds: float, method: str = "fork") -> dict[str, Any]:
    """Run a function in a process of its own, which ends in time, and with it all that it started.

    Args:
        begin: called in the child with the report that it fills; picklable.
        path: JSON of the report.
        seconds: it may take.
        method: 'fork', or 'spawn', which takes seconds more.
    Returns: the report, whose `status` is 'finished', 'failed' or 'out of time'.
    """
    process = multiprocessing.get_context(method).Process(target=_child, args=(begin, path, seconds))
    process.start()
    try:
        process.join(seconds + 2 * GRACE)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        content = {"status": None, "rows": [], "steps": []}
    if content["status"] is None:
        trace = path.with_suffix(".trace")
        hung = trace.read_text() if trace.exists() else ""
        if hung or process.exitcode == -signal.SIGKILL:
            ending = {"status": "out of time", "reason": f"not finished after {seconds:.0f} s", "traceback": tidy(hung)}
        else:
            ending = {"status": "failed", "reason": f"its process ended with status {process.exitcode}"}
        content |= ending
    return content


def _child(begin: Callable[[Report], None], path: Path, seconds: float) -> None:
    """Call a function, write how it ended, and give up with a traceback when it hangs."""
    os.setsid()
    report = Report(path, seconds)
    report.save()
    with path.with_suffix(".trace").open("w") as trace:
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=trace)
        try:
            begin(report)
        except BaseException as error:
            first = (str(error).splitlines() or [""])[0]
            report.end("failed", tidy(f"{type(error).__name__}: {first}"), traceback.format_exc())
        else:
            report.end("finished")
        faulthandler.cancel_dump_traceback_later()


def accept(folder: Path, sizes: Sizes, wanted: str, parts: Sequence[Part], minutes: float) -> dict[str, Any]:
    """Run parts one after the other; JSON and page are written after each. Returns what the JSON holds."""
    work = Path(tempfile.mkdtemp(prefix="simformer-acceptance-"))
    ends = time.monotonic() + 60 * minutes
    try:
        print(f"looking for {wanted} ...", file=sys.stderr)
        found, method = _machine(wanted, work / "machine.json")
        if found["device"] == "cpu" and wanted == "auto" and sizes.name == "paper":
            raise UserError("no GPU is visible to PyTorch here; type --size tiny to run the same program on a CPU")
        result = {
            "format": 1,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": code_version(Path(simformer.__file__).parent),
            "size": sizes.name,
            "minutes": minutes,
            "gpu": found["gpu"],
            "torch": torch.__version__,
            "machine": found,
            "passed": None,
            "speed": {},
            "parts": {},
        }
        _write(folder, result)
        for number, part in enumerate(parts):
            left = max(1.0, ends - time.monotonic() - GRACE)
            seconds = left * part.share / sum(p.share for p in parts[number:])
            print(f"({part.letter}) {part.title}: at most {seconds:.0f} s", file=sys.stderr)
            place = work / part.letter
            place.mkdir()
            context = Context(found["device"], sizes, place, found["gpus"], found["bf16"])
            begin = partial(_run, part, context)
            found_here = run_apart(begin, work / f"{part.letter}.json", seconds, method)
            result["parts"][part.letter] = {"title": part.title} | found_here
            _conclude(result, finished=number == len(parts) - 1)
            _write(folder, result)
        return result
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(part: Part, context: Context, report: Report) -> None:
    module, _, function = part.run.partition(":")
    getattr(importlib.import_module(module), function)(context, report)


def _machine(wanted: str, path: Path) -> tuple[dict[str, Any], str]:
    """Return the machine's facts, and how the parts' processes are begun.

    They are asked in a process of its own: one that uses CUDA could not fork. Should the libraries have used CUDA while
    they were imported, processes are spawned.

    Raises: UserError if the device is not there.
    """
    for method in ("fork", "spawn"):
        content = run_apart(partial(_ask, wanted), path, 60, method)
        if content["status"] == "finished":
            return content["machine"], method
        if "fork" not in content["reason"]:
            break
    raise UserError(f"--device {wanted}: {content['reason'].removeprefix('UserError: ')}")


def _ask(wanted: str, report: Report) -> None:
    from tests.gpu.machine import machine

    report.content["machine"] = machine(wanted)


def _conclude(result: dict[str, Any], finished: bool) -> None:
    """Say whether all is well so far, and which steps took how long."""
    parts = result["parts"].values()
    failed = [row for part in parts for row in part["rows"] if row["passed"] is False]
    well = not failed and all(part["status"] == "finished" for part in parts)
    result["passed"] = False if not well else (True if finished else None)
    for row in (row for part in parts for row in part["steps"] if row.get("as_trained")):
        told = {"seconds": row["seconds"], "images": row["images"], "mode": row["mode"]}
        result["speed"].setdefault(row["case"], {}).setdefault(row["work"], told)


def page_of(folder: Path, result: dict[str, Any]) -> Path:
    """Return the page's path, which is named like the card; the JSON lies beside it."""
    return folder / f"{re.sub('[^a-z0-9]+', '-', (result['gpu'] or 'cpu').lower()).strip('-')}.md"


def _write(folder: Path, result: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page = page_of(folder, result)
    atomic_write_text(page.with_suffix(".json"), json_text(result, indent=1) + "\n")
    atomic_write_text(page, write_page(result))


def failures(result: dict[str, Any]) -> list[str]:
    """Name all that failed, one line each."""
    lines = []
    for letter, part in result["parts"].items():
        if part["status"] != "finished":
            lines.append(f"({letter}) {part['title']}: {part['status']}: {part.get('reason', '')}")
        lines += [f"({letter}) {row['name']}: {_found(row)}" for row in part["rows"] if row["passed"] is False]
    return lines


def _found(row: dict[str, Any]) -> str:
    value = "" if row["value"] is None else f"{row['value']:.4g} {row['unit']}".strip()
    bounds = [
        f"{word} {row[key]:g}" for key, word in (("at_most", "at most"), ("at_least", "at least")) if row.get(key)
    ]
    return ", ".join(text for text in (value, *bounds, row["note"]) if text) or "does not hold"


def _letters(text: str) -> tuple[Part, ...]:
    known = {part.letter: part for part in PARTS}
    letters = [letter.strip() for letter in text.split(",") if letter.strip()]
    if not letters or not set(letters) <= known.keys():
        raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}, found '{text}'")
    return tuple(part for part in PARTS if part.letter in letters)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.acceptance", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder for the JSON and the page")
    parser.add_argument("--size", choices=SIZES, default="paper", help="sizes of the paper, or tiny ones")
    parser.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda or cuda:N")
    parser.add_argument("--only", type=_letters, default=PARTS, metavar="a,c", help="parts to run; all by default")
    parser.add_argument("--minutes", type=float, default=8.0, help="time for all parts together")
    parser.add_argument("--page-only", action="store_true", help="write the pages of all JSON files again, run nothing")
    args = parser.parse_args(arguments)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asks for cards without using CUDA in this process
    try:
        if args.page_only:
            return _pages_again(args.output)
        result = accept(args.output, SIZES[args.size], args.device, args.only, args.minutes)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    told = failures(result)
    for line in told:
        print(f"failed: {line}", file=sys.stderr)
    print(
        f"{'all checks passed' if not told else f'{len(told)} failed'}: {page_of(args.output, result)}", file=sys.stderr
    )
    return 1 if told else 0


def _pages_again(folder: Path) -> int:
    found = sorted(folder.glob("*.json"))
    if not found:
        raise UserError(f"{folder}: no JSON of an acceptance; run it without --page-only first")
    for path in found:
        try:
            page = write_page(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not what an acceptance writes ({error!r}); run it again") from None
        atomic_write_text(path.with_suffix(".md"), page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
