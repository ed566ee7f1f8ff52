"""The gate on counts: what the pieces of work take now against the counts that are kept in tests/golden/counts.json.

python -m tests.gate.counts                             # compare all, the paper's sizes included (two minutes)
python -m tests.gate.counts --write --reason "..."      # accept what has changed, and keep the reason
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tests.gate.counting import CARD, HOST
from tests.gate.tasks import CASES, TASKS, count

KEPT = Path(__file__).parents[1] / "golden" / "counts.json"
TOLERANCE = 0.02
"""Largest change of a count, as a share, that needs no reason; waits of the host for the card may not change at all."""
ACCEPT = 'python -m tests.gate.counts --write --reason "..."'

QUICK = {
    ("tiny", HOST): tuple(TASKS),
    ("small", HOST): ("simformer fp32", "simformer bf16", "evaluation"),
    ("tiny", CARD): tuple(task for task in TASKS if task != "maskformer bf16"),
}
"""What the default tests count: two sizes on the CPU, and one on the `meta` device in place of a card."""
PAPER = {("coco", CARD): ("simformer fp32", "maskformer fp32", "evaluation")}
"""What takes a minute: the paper's size."""

Row = tuple[str, int | None, int | None]
"""What is counted, the kept number, the present one; None where there is none."""


def entries(places: Mapping[tuple[str, str], Sequence[str]]) -> list[tuple[str, str, str]]:
    """Return (case, device, task) of all that is counted."""
    return [(*place, task) for place, tasks in places.items() for task in tasks]


def key(case: str, device: str, task: str) -> str:
    """Return the name of an entry, as the file has it."""
    return f"{case}, {'card' if device == CARD else 'CPU'}: {task}"


@dataclass(frozen=True)
class Counted:
    """Counts of an entry, and what the host has waited for."""

    numbers: dict[str, int]
    waits: tuple[str, ...]


@cache
def counted(case: str, device: str, task: str) -> Counted:
    """Count one entry."""
    mode = count(task, CASES[case], device)
    return Counted(asdict(mode.counts), tuple(mode.waits))


def torch_version() -> str:
    """Return the version of PyTorch without the kind of build."""
    return torch.__version__.split("+")[0]


def read_kept(path: Path = KEPT) -> dict[str, Any]:
    """Return the kept file's content."""
    return json.loads(path.read_text()) if path.exists() else {"torch": torch_version(), "reasons": [], "counts": {}}


def changes(name: str, kept: dict[str, int] | None, now: dict[str, int]) -> list[Row]:
    """Return what has changed beyond the tolerance in one entry."""
    if kept is None:
        return [(name, None, None)]
    return [
        (f"{name}: {what}", kept.get(what), value)
        for what, value in now.items()
        if changed(what, kept.get(what), value)
    ]


def changed(what: str, kept: int | None, now: int) -> bool:
    """Tell whether a count has changed by more than it may."""
    if kept is None or what == "waits":
        return kept != now
    return abs(now - kept) > TOLERANCE * kept


def table(rows: list[Row]) -> str:
    """Return the changes as text, with what to type."""
    lines = [("what", "kept", "now", "change")]
    for what, kept, now in rows:
        share = f"{100 * (now - kept) / kept:+.1f} %" if kept and now is not None else ""
        lines.append((what, "-" if kept is None else f"{kept:,}", "not compared" if now is None else f"{now:,}", share))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rules = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in lines]
    return "\n".join(["Counts have changed:", *rules, f"If that is meant, say why and keep the new ones: {ACCEPT}"])


def write(reason: str, counts: dict[str, dict[str, int]], path: Path = KEPT) -> None:
    """Keep counts, and the reason for their change."""
    reasons = [*read_kept(path)["reasons"], {"date": date.today().isoformat(), "reason": reason}]
    content = {"torch": torch_version(), "reasons": reasons, "counts": counts}
    path.write_text(json.dumps(content, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Compare or write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.gate.counts", description="Compare counts with those kept.")
    parser.add_argument("--write", action="store_true", help="keep the present counts")
    parser.add_argument("--reason", default="", help="why they have changed (with --write)")
    options = parser.parse_args(arguments)
    if options.write != bool(options.reason.strip()):
        parser.error(f"--write and --reason go together; type {ACCEPT}")
    torch.set_num_threads(1)
    now = {key(*entry): counted(*entry).numbers for entry in entries(QUICK | PAPER)}
    kept = read_kept()["counts"]
    rows = [row for name, numbers in now.items() for row in changes(name, kept.get(name), numbers)]
    if options.write:
        write(options.reason.strip(), now)
        print(f"{KEPT.name}: {len(now)} entries are kept; {len(rows)} counts had changed")
        return 0
    print(table(rows) if rows else "All counts are those that are kept.")
    return bool(rows)


if __name__ == "__main__":
    sys.exit(main())
