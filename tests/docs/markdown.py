"""What tests of the pages read in them: pieces of code, links, headings."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A piece of code between fences, and the last file that the line before it names, or an empty string."""

    file: str
    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced pieces of code of a page, in its order."""
    text = page.read_text()
    found = []
    for start in re.finditer(r"^```(\w+)\n", text, re.M):
        end = text.index("\n```", start.end()) + 1
        paragraph = text[: start.start()].rstrip().rpartition("\n\n")[2]
        names = re.findall(r"`([\w./]+/[\w.]+\.\w+)`", paragraph)
        found.append(Block(names[-1] if names else "", start[1], text[start.end() : end]))
    return found


def without_code(text: str) -> str:
    """Return a page without fenced and indented code and without code in lines."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"^(?: {4}|\t).*$|`[^`\n]+`", "", text, flags=re.M)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
