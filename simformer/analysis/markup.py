"""Names on a page: one function per kind of place, so that every name is shown exactly as it was written.

A name is any text of a user: of a class, an image, a method, a title. Names without special characters do not change.
Sentences of the project itself are already Markdown and do not come here.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from simformer.text.visible import LONGEST, visible

_ALWAYS = r"[\\`|<\[\]$~]|&(?=#?\w+;)"
_UNDERSCORES = r"(?<![^\W_])_+(?=\S)|_+(?=[^\w\s])"
"""Those inside a word mean nothing in Markdown, nor those behind one."""
_NAME = re.compile(rf"{_ALWAYS}|{_UNDERSCORES}|\*\*+|\*(?=[^\s*])")
"""A single star that ends a word is left: it opens nothing."""
_STRONG = re.compile(rf"{_ALWAYS}|{_UNDERSCORES}|\*\*+|\*(?=[^\s*])|(?<=[^\s*])\*")
_BLOCK = re.compile(r"(?:[#>+=-]|\d+[.)])(?=\W|$)")
"""What makes a line of Markdown something else than text where it comes first."""


def name(text: str) -> str:
    """Return a name as Markdown shows it, in a cell of a table or within a line."""
    return _NAME.sub(_escaped, visible(text))


def line(text: str) -> str:
    """Return a name that is a line of Markdown by itself."""
    escaped = name(text.strip())
    start = _BLOCK.match(escaped)
    return escaped if start is None else rf"{escaped[: start.end() - 1]}\{escaped[start.end() - 1 :]}"


def strong(text: str) -> str:
    """Return a name in bold type, in Markdown; stars in it that could end the bold type do not."""
    return f"**{_STRONG.sub(_escaped, visible(text).strip())}**"


def code(text: str) -> str:
    """Return a name in Markdown's type of code, in which nothing is special but the end."""
    content = visible(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", content)), default=0))
    space = " " if content.startswith("`") or content.endswith("`") else ""
    return f"{fence}{space}{content}{space}{fence}"


def target(path: str) -> str:
    """Return a path as the target of a link, in Markdown or HTML."""
    return quote(path, errors="replace")


def cells(texts: list[str]) -> str:
    """Return a line of a table in Markdown from its cells."""
    return f"| {' | '.join(texts)} |"


def _escaped(found: re.Match[str]) -> str:
    return "".join(rf"\{character}" for character in found[0])


_LATEX = (
    {c: rf"\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
    | {"±": r"$\pm$", "*": "$^*$", "<": "$<$", ">": "$>$", "[": "{[}", "]": "{]}", "°": r"$^\circ$", "×": r"$\times$"}
    | {"µ": r"$\mu$", "–": "--", "—": "---", "…": r"\dots{}", "‘": "`", "’": "'", "“": "``", "”": "''", "\u00a0": "~"}
    | {"ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}"}
    | {"ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}"}
)
_ACCENTS = dict(
    zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327\u0328", "`'^~=u.\"rHvck", strict=True)
)


def latex(text: str, longest: int | None = LONGEST) -> str:
    """Return a name as LaTeX prints it, in ASCII; what not every LaTeX can print is named by its code, as U+725B."""
    return "".join(map(_latex_character, unicodedata.normalize("NFC", visible(text, longest))))


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii():
        return character
    letter, *marks = list(unicodedata.normalize("NFD", character))
    if letter.isascii() and letter.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        return rf"\{_ACCENTS[marks[0]]}{{{letter}}}"
    return f"U+{ord(character):04X}"
