"""Finds the file of `images/` or `labels/` for a listed name; if there is none, says what is there instead.

A name is a file's name without its ending. Names are compared in Unicode's composed form: macOS stores an accented
letter as two characters, lists hold one. Upper and lower case differ in names, not in endings.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from simformer.atomic import kind_of
from simformer.data.class_names import look, normal, unprintable
from simformer.errors import UserError

LONGEST_NAME = 250
"""Bytes of a name in UTF-8: with the endings of what is made from an image, at most the 255 that most disks allow."""

FLAGS = {"1", "0", "-1"}
"""What follows a name in PASCAL VOC's lists of one class: shown, hard to see, not shown."""


class NamedFiles:
    """The entries of a folder by name.

    Args:
        folder: the folder.
        endings: those that are read, in lower case, the usual one first.
        what: what the files are, for messages.
    """

    def __init__(self, folder: Path, endings: tuple[str, ...], what: str) -> None:
        self.folder = folder
        self.endings = endings
        self.what = what
        self.entries: dict[str, list[str]] = {}
        for entry in sorted(os.listdir(folder)):
            self.entries.setdefault(normal(os.path.splitext(entry)[0]), []).append(entry)

    def find(self, name: str) -> Path:
        """Return the file of a listed name.

        Raises:
            UserError: there is none, or more than one, or something else than a plain file.
        """
        found = self._readable(name)
        if len(found) > 1:
            raise UserError(f"{' and '.join(map(str, found))}: two {self.what}s have one name; remove one")
        if not found:
            also = "" if len(self.endings) == 1 else f" (or {', '.join(self.endings[1:])})"
            hint = self._explain(name)
            raise UserError(f"{self.folder / name}{self.endings[0]}{also}: listed {self.what} not found{hint}")
        other = kind_of(found[0])
        if other is not None:
            raise UserError(f"{found[0]}: {other}; expected a file with the {self.what}")
        return found[0]

    def unlisted(self, names: Collection[str]) -> list[str]:
        """Return the readable files that no name in `names` stands for; hidden ones are passed over."""
        others = (name for name in self.entries if name not in names and not name.startswith("."))
        return [path.name for name in others for path in self._readable(name)]

    def candidates(self, names: Collection[str]) -> list[Path]:
        """Return the files that an import copies: readable files, and everything there is for a name without one.

        Hidden files are copied only if a name in the list means them, because systems leave such files everywhere.
        """
        found: list[Path] = []
        for name, entries in self.entries.items():
            readable = self._readable(name)
            if name in names:
                found += readable or [path for path in map(self.folder.joinpath, entries) if kind_of(path) is None]
            elif not name.startswith("."):
                found += [path for path in readable if kind_of(path) is None]
        return sorted(found)

    def _readable(self, name: str) -> list[Path]:
        """Return the entries of a name with an ending that is read."""
        entries = self.entries.get(name, ())
        return [self.folder / entry for entry in entries if os.path.splitext(entry)[1].lower() in self.endings]

    def _explain(self, name: str) -> str:
        """Return what is there instead of a name's file, and what to do; empty if there is nothing alike."""
        if name in self.entries:
            return f"; there is {self.entries[name][0]!r}, whose ending is not read: convert it"
        if name.startswith("#"):
            return "; a list has no comments: remove this line"
        stem, ending = os.path.splitext(name)
        if ending and stem in self.entries:
            return f"; a list has names without ending: write {stem!r}"
        for mark, word in ((",", "commas"), (";", "semicolons"), ("\t", "tabs")):
            if mark in name and normal(name.split(mark)[0].strip()) in self.entries:
                return f"; a list has one name per line, without {word}"
        first, *columns = name.split()
        if columns and set(columns) <= FLAGS and normal(first) in self.entries:
            return (
                f"; it is the name {first!r} with a second column, as in PASCAL VOC's lists of one class; a list has "
                "only names: write those of the images that you want"
            )
        alike = self._by_look.get(_loose(name))
        if alike is not None:
            return f"; there is {alike!r}, which is spelt in another way (upper and lower case, white space, quotes)"
        return f"; the folder has {sum(map(len, self.entries.values()))} entries{self._example}"

    @cached_property
    def _by_look(self) -> dict[str, str]:
        return {_loose(name): entries[0] for name, entries in self.entries.items()}

    @cached_property
    def _example(self) -> str:
        first = next((entries[0] for name, entries in self.entries.items() if not name.startswith(".")), None)
        return "" if first is None else f", such as {first!r}"


def list_name_problem(name: str) -> str | None:
    """Return why a listed name cannot be the name of an image, or None if it can."""
    if any(letter in name for letter in "/\\\0") or name in (".", ".."):
        return f"{name!r} is not a plain name; expected a file of images/ without folder and extension"
    if unprintable(name):
        return f"{name!r} is not a plain name: it holds the invisible character {unprintable(name)[0]!a}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        return f"'{name[:40]}...' has {len(os.fsencode(name))} bytes; expected a name of at most {LONGEST_NAME}"
    return None


def _loose(name: str) -> str:
    """Return a key that is equal for names that a person would take for one another."""
    return "".join(letter for letter in look(name).casefold() if not unprintable(letter)).strip("'\"").replace(" ", "")
