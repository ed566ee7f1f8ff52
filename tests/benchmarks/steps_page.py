"""The page of `tests.benchmarks.steps`, from its numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TARGETS = {"matching": 10, "SimNet part": 5, "confusion matrix": 5}
"""How many times as fast a part should be."""
STEP_TARGET, MEMORY_TARGET = 1.8, 0.6
"""Of SimFormer in bf16: so many times as fast as the others in fp32; at most this share of Hugging Face's memory."""
OTHERS = ("transcribed SimFormer, fp32", "Hugging Face's MaskFormer, fp32")
GIB = 2**30


def page(result: Mapping[str, Any]) -> str:
    """Return the page, Markdown."""
    machine, case, programs = result["machine"], result["case"], result["programs"]
    lines = [
        "# Training steps on a CPU, beside other programs",
        "",
        "Made by `python -m tests.benchmarks.steps`; do not edit. All programs run in one process, in turn, so that",
        "what disturbs the machine disturbs them all. Ratios are taken round by round. The peak memory of each is that",
        "of a process of its own, the libraries included. The transcription is the released method written again from",
        "its description (`tests/reference/`); Hugging Face's MaskFormer has neither pairs nor SimNet.",
        "",
        f"{result['date']}; {machine['processor']}, {machine['threads']} threads; "
        f"PyTorch {machine['libraries']['torch']}, transformers {machine['libraries']['transformers']}; load of the "
        f"machine at the end {machine['load']:.1f}. Case {case['name']}: {case['backbone']}, {case['images']} images "
        f"of {case['crop']} x {case['crop']}, {case['classes']} classes, {case['queries']} queries.",
        "",
    ]
    rows = [
        [name, *spread(value, 1, 3), str(value["steps"]), f"{value['memory'] / GIB:.2f}"]
        for name, value in programs.items()
    ]
    lines += table(["step", "median, s", "quartiles", "steps", "peak memory, GiB"], rows)
    for name, others in result["ratios"].items():
        lines += ["", f"How many times as long as ours ({name}):", ""]
        rows = [[other, *spread(value, 1, 2)] for other, value in others.items()]
        lines += table(["step", "ratio", "quartiles"], rows)
    rows = [
        [name, *spread(value["ours"], 1000, 2), *spread(value["other"], 1000, 2), *spread(value["ratio"], 1, 1)]
        for name, value in result["parts"].items()
    ]
    heads = ["part", "ours, ms", "quartiles", "other, ms", "quartiles", "ratio", "quartiles"]
    lines += ["", "Parts, in single precision if nothing else is said:", "", *table(heads, rows)]
    lines += ["", "## Against what was aimed at", "", *targets(result)]
    return "\n".join(lines) + "\n"


def targets(result: Mapping[str, Any]) -> list[str]:
    """Return a line for each target: reached or not."""
    lines, first = [], "SimFormer, bf16"
    for other in OTHERS:
        if other in result["ratios"].get(first, {}):
            lines.append(line(f"{first} against {other}", result["ratios"][first][other]["median"], STEP_TARGET))
    theirs = result["programs"].get(OTHERS[1])
    if theirs and first in result["programs"]:
        share = result["programs"][first]["memory"] / theirs["memory"]
        state = "reached" if share <= MEMORY_TARGET else "not reached"
        lines.append(
            f"- Peak memory of {first}: {share:.0%} of {OTHERS[1]}; at most {MEMORY_TARGET:.0%} wanted: {state}."
        )
    for name, value in result["parts"].items():
        wanted = next(number for part, number in TARGETS.items() if name.startswith(part))
        lines.append(line(name, value["ratio"]["median"], wanted))
    return lines


def line(what: str, found: float, wanted: float) -> str:
    """Return one line of targets."""
    state = "reached" if found >= wanted else "not reached"
    return f"- {what[0].upper()}{what[1:]}: {found:.2f} times as fast; at least {wanted} wanted: {state}."


def spread(value: Mapping[str, Any], factor: float, digits: int) -> list[str]:
    """Return median and quartiles as two cells."""
    low, high = value["quartiles"]
    return [f"{factor * value['median']:.{digits}f}", f"{factor * low:.{digits}f} to {factor * high:.{digits}f}"]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
