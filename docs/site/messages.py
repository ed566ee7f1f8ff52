"""The error messages of the package, read from its source: docs/troubleshooting.md shows those of each kind."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from simformer.errors import MAKES_IT, if_made
from simformer.text.to_make import to_make

MARK = re.compile(r"<!-- messages of: (.+) -->")
"""Where the messages of some modules and folders are shown."""
OPEN = "…"
"""What stands for the part of a message that is filled in when it is printed."""
KNOWN = {"MAKES_IT": MAKES_IT, "if_made": if_made(), "to_make": to_make("FILE").replace("FILE", OPEN)}
"""Names and functions whose text is the same in every message."""
CHECKED = ("simformer/config/", "simformer/study/", "simformer/baselines/settings.py")
"""Modules whose ValueErrors are told to the user as mistakes of a configuration."""


@dataclass(frozen=True)
class Message:
    """One message: the module that has it, and its text with OPEN for what is filled in."""

    module: str
    text: str

    @property
    def parts(self) -> tuple[str, str]:
        """What is wrong, and what to do about it (empty if the message does not end with that)."""
        what, _, remedy = self.text.rpartition("; ")
        return (what, remedy) if what else (self.text, "")


def error_classes(root: Path) -> set[str]:
    """Return the names of the package's own exceptions."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for _, node in _nodes(root)
        if isinstance(node, ast.ClassDef)
    }
    found, size = {"Exception"}, 0
    while len(found) > size:  # exceptions derive from exceptions
        size = len(found)
        found |= {name for name, own in bases.items() if found & own}
    return found - {"Exception"}


def messages(root: Path) -> list[Message]:
    """Return every message of the package's exceptions, by module; one that is a variable alone is left out."""
    own = error_classes(root)
    found = {}
    for module, node in _nodes(root):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            wanted = own | ({"ValueError"} if module.startswith(CHECKED) else set())
            text = " ".join(_text(node.args[0]).split())
            if node.func.id in wanted and re.search(r"\w{3}", text):
                found[module, text] = Message(module, text)
    return list(found.values())


def filled(page: str, root: Path) -> str:
    """Return the page with the messages of each kind in place of its mark."""
    every = messages(root) if MARK.search(page) else []

    def table(mark: re.Match[str]) -> str:
        mine = [message for message in every if message.module.startswith(tuple(mark[1].split()))]
        rows = [
            " | ".join(_cell(part) for part in message.parts)
            for message in sorted(mine, key=lambda m: m.text.lstrip("…:'` -"))
        ]
        lines = ["| Message | What to do |", "|---|---|", *(f"| {row} |" for row in rows)]
        return f'??? note "All {len(mine)} messages of this kind"\n\n' + "\n".join(f"    {line}" for line in lines)

    return MARK.sub(table, page)


@cache
def _nodes(root: Path) -> list[tuple[str, ast.AST]]:
    paths = sorted((root / "simformer").rglob("*.py"))
    trees = [(path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]
    return [(module, node) for module, tree in trees for node in ast.walk(tree)]


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.FormattedValue):
        return _text(node.value)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return KNOWN.get(node.func.id, OPEN)
    return KNOWN.get(node.id, OPEN) if isinstance(node, ast.Name) else OPEN


def _cell(text: str) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "&#96;")
    return re.sub(r"([\\*_{}\[\]$])", r"\\\1", safe)
