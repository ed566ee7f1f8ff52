"""Names of classes that a user wrote: they must be easy to tell apart, in a table and on a command line."""

from __future__ import annotations

import unicodedata
from typing import Any

JOINERS = "\u200c\u200d"
"""Invisible characters that spelling needs: Persian, the scripts of India, composed emoji."""

UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of control and format characters, halves of characters, and separators of lines."""


def normal(name: str) -> str:
    """Return a name in Unicode's composed form: an accented letter is one character, however it was typed."""
    return unicodedata.normalize("NFC", name)


def unprintable(text: str) -> list[str]:
    """Return the characters of a text that cannot be seen, or break a line."""
    return [letter for letter in text if unicodedata.category(letter) in UNPRINTABLE and letter not in JOINERS]


def look(text: str) -> str:
    """Return a key that is equal for texts which look alike: one width and kind of white space, one form of letters."""
    seen = "".join(letter for letter in unicodedata.normalize("NFKC", text) if letter not in JOINERS)
    return " ".join(seen.split())


def name_problem(names: list[Any]) -> str | None:
    """Return what is wrong with a list of class names and how to correct it, or None if nothing is wrong.

    Every name is a text without white space around it and without control characters; no two look alike.
    """
    for number, name in enumerate(names):
        where = f"class {number} is {_shown(name)}"
        if not isinstance(name, str):
            return f"{where}, no text; put every name in quotes"
        if not name.strip():
            return f"{where}, which is empty; name every class"
        if unprintable(name):
            return f"{where}, with the invisible character {unprintable(name)[0]!a}; remove it"
        if name != name.strip():
            return f"{where}, with white space around it; remove it"
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        other = first.setdefault(look(name), number)
        if other == number:
            continue
        if names[other] == name:
            return f"class name given more than once: {name} (ids {other} and {number}); names must differ"
        return (
            f"classes {other} and {number} look alike: {names[other]!a} and {name!a}; "
            "names must differ by more than white space or the form of their letters"
        )
    return None


def _shown(name: Any) -> str:
    """Return a value as JSON users know it, short and on one line."""
    text = {None: "null", True: "true", False: "false"}.get(name) if name is None or isinstance(name, bool) else None
    text = text or repr(name)
    return text if len(text) <= 60 else f"{text[:57]}..."
