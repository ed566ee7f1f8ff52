"""Names as text of one line: characters that are invisible or change other text never reach a page."""

from __future__ import annotations

import re

UNKNOWN = "�"
"""Stands for a character that is not shown."""
LONGEST = 240
"""Characters of a name on a page; what is longer is cut. Data files have all of it."""

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, those that turn the direction of what follows, and halves of characters."""


def visible(text: str, longest: int | None = LONGEST) -> str:
    """Return a text as one line: line breaks and tabs are blanks, control characters `UNKNOWN`.

    Args:
        text: any text.
        longest: characters beyond which it is cut; None: never.
    """
    line = _HIDDEN.sub(UNKNOWN, _BREAKS.sub(" ", text))
    return line if longest is None or len(line) <= longest else f"{line[: longest - 1]}…"


def visible_lines(text: str) -> str:
    """Return a text of several lines without control characters, for a terminal, which would obey them."""
    return "\n".join(_HIDDEN.sub(UNKNOWN, line.expandtabs()) for line in text.split("\n"))
