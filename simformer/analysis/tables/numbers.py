"""A number on a page, or why there is none. Every table uses this module, so no page shows `nan` or `inf`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

NONE = "-"
"""Cell without a number."""
Lack = Literal["", "no spread", "one image", "few seeds", "no value"]
"""Why there is no number; empty if there is one."""
IN_CELLS: tuple[Lack, ...] = ("no spread", "one image")
"""Reasons that are in the cell itself; the others show in the number of seeds, or in the other cells of the line."""
MEANINGS: dict[Lack, str] = {
    "no spread": "No spread: every seed or draw of images gives the same number, up to rounding, so there is neither "
    "an interval nor a p value.",
    "one image": "One image: a single test image has no spread.",
    "few seeds": "With fewer than two seeds there is no spread, and so no interval and no test.",
    "no value": "-: there is no number, because no test image shows any of the classes, or because a run has no value.",
}
"""What is said below a table in which a reason occurs."""


def number(value: float | None, form: str) -> str:
    """Return a number in a format of Python, or NONE for None, NaN and infinite values.

    A number that rounds to zero has no minus. If the format asks for a sign, the sign shows its side of zero.
    """
    if value is None or not math.isfinite(value):
        return NONE
    text = format(value or 0.0, form)  # no negative zero
    rounded = "+" not in form and not any(digit in text for digit in "123456789")
    return text.removeprefix("-") if rounded else text


def with_deviation(mean: float | None, deviation: float | None, form: str = ".1f", fine: str | None = None) -> str:
    """Return a mean and its deviation; the mean alone if it has none, NONE if there is no mean.

    Args:
        mean, deviation: numbers, see `number`.
        form: of both.
        fine: of the deviation, if it differs.
    """
    first, second = number(mean, form), number(deviation, fine or form)
    return first if NONE in (first, second) else f"{first} ± {second}"


def ends(low: float, high: float, lack: Lack, show: Callable[[float], str]) -> str:
    """Return an interval, or why there is none.

    Args:
        low, high: its ends.
        lack: the reason.
        show: prints one end, `signed` or alike.
    """
    first, second = show(low), show(high)
    return missing(lack) if NONE in (first, second) else f"{first} to {second}"


def signed(value: float | None) -> str:
    """Return a difference in percentage points; see `number`."""
    return number(value, "+.1f")


def missing(lack: Lack) -> str:
    """Return the cell of a number that is not there."""
    return f"{NONE} ({lack})" if lack in IN_CELLS else NONE


def footnote(note: str, lacks: Iterable[str], told: Iterable[Lack] = ()) -> str:
    """Return the note of a table, followed by the meaning of each reason that occurs in it.

    Args:
        note: of the table.
        lacks: reasons of all its lines.
        told: reasons that the note explains.
    """
    found = set(lacks) - set(told)
    return " ".join([note, *(meaning for lack, meaning in MEANINGS.items() if lack in found)])
