"""Text for a terminal: times and sizes in words, and colour where it is wanted."""

from __future__ import annotations

import os
import sys

WIDTH = 100
"""Columns that a page takes at most."""
CODES = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "grey": 90}


def wants_colour() -> bool:
    """Whether standard output is a terminal, and the environment variable NO_COLOR is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text: str, colour: str | None) -> str:
    """Return the text in a colour; unchanged for None."""
    return f"\033[{CODES[colour]}m{text}\033[0m" if colour else text


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: '1 training', '2 trainings'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def gigabytes(size: float) -> str:
    """Return an estimated size, given in bytes: 'about 1.4 GB', 'less than 0.1 GB'."""
    return f"about {size / 1e9:.1f} GB" if size >= 5e7 else "less than 0.1 GB"


def duration(seconds: float) -> str:
    """Return a time in its two largest units: '3 s', '4 min', '5 h 06 min', '2 d 03 h'."""
    minutes = round(seconds / 60)
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"
