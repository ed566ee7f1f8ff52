"""The outcome of one check of a machine, and the page of all of them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from simformer.machine.terminal import WIDTH, counted, paint
from simformer.text.visible import visible_lines

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: what was looked at.
        level: 'problem': the study cannot run, or not as it should; 'warning': read it.
        found: what was found.
        fix: what to type or do; empty for 'ok'.
    """

    name: str
    level: Literal["ok", "warning", "problem"]
    found: str
    fix: str = ""


def checks_text(checks: Sequence[Check], colour: bool) -> str:
    """Lay checks out, one line each (longer ones are wrapped), with the fix below; the last line counts them."""
    label = max(len(check.name) for check in checks)
    indent = " " * (label + 11)
    lines = []
    for check in checks:
        text = visible_lines(check.found) or "?"
        found = textwrap.wrap(text, WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
        level = paint(f"{check.level:<7}", COLOURS[check.level] if colour else None)
        lines += [f"{check.name:<{label}}  {level}  {found[0]}", *(indent + line for line in found[1:])]
        if check.fix:
            lines.append(textwrap.fill(
                visible_lines(check.fix), WIDTH, initial_indent=indent + "-> ", subsequent_indent=indent + "   ",
                break_long_words=False, break_on_hyphens=False,
            ))  # fmt: skip
    counts = {level: sum(check.level == level for check in checks) for level in COLOURS}
    lines.append(
        f"\n{len(checks)} checks: {counted(counts['problem'], 'problem')}, {counted(counts['warning'], 'warning')}"
    )
    return "\n".join(lines)
