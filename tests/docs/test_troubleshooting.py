"""docs/troubleshooting.md: every message of an exception of the package belongs to one kind, and no row is stale."""

import ast
import re

import pytest

from docs.site.messages import MARK, OPEN, Message, error_classes, filled, messages
from tests.docs.markdown import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
MARKED = [start for mark in MARK.findall(PAGE) for start in mark.split()]
OTHERS = PAGE.index("## Messages of other programs")
ROWS = [row for row in re.findall(r"^\| (.+?) \| .+ \| .+ \|$", PAGE[:OTHERS], re.M) if row != "You see"]
FRAGMENTS = [one or two for row in ROWS for one, two in re.findall(r"``(.+?)``|`([^`]+)`", row)]


def texts() -> str:
    """Every text of the package, each in a line, with OPEN for what is filled in."""
    lines = []
    for path in (ROOT / "simformer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else OPEN for part in node.values]
                lines.append(" ".join("".join(parts).split()))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(" ".join(node.value.split()))
    return "\n".join(lines)


TEXTS = texts()


def test_the_exceptions_and_their_messages_are_found():
    assert {"UserError", "OtherRun", "BrokenShape", "Unavailable", "RefusedError", "Interrupted"} <= error_classes(ROOT)
    found = messages(ROOT)
    assert len(found) > 400 and len({message.module for message in found}) > 80
    told = Message("simformer/data/splits.py", "split: no novel class; name at least one")
    assert told in found and told.parts == ("split: no novel class", "name at least one")


def test_every_message_belongs_to_one_kind():
    kinds = {
        message.module: [start for start in MARKED if message.module.startswith(start)] for message in messages(ROOT)
    }
    lost = sorted(module for module, found in kinds.items() if len(found) != 1)
    assert not lost, f"docs/troubleshooting.md: name these in one '<!-- messages of: ... -->': {lost}"


def test_every_mark_names_what_is_there():
    modules = [path.relative_to(ROOT).as_posix() for path in (ROOT / "simformer").rglob("*.py")]
    assert not [start for start in MARKED if not any(module.startswith(start) for module in modules)]


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_row_quotes_a_message_of_the_package(fragment):
    pieces = [piece.strip(" '?") for piece in fragment.split("...")]
    assert all(piece in TEXTS for piece in pieces), f"no message has '{fragment}' any more"


def test_the_page_of_the_site_lists_every_message():
    page = filled(PAGE, ROOT)
    counts = [int(number) for number in re.findall(r'^\?\?\? note "All (\d+) messages', page, re.M)]
    assert sum(counts) == len(messages(ROOT)) and not MARK.search(page)
