"""A Markdown table of a study as an HTML page, because `snakemake --report` cannot show Markdown."""

from __future__ import annotations

import html
import re
from pathlib import Path

from simformer.atomic import atomic_write_text

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; background: Canvas; color: CanvasText; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; border-bottom: 1px solid #8886; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tbody tr:hover { background: #8882; }
"""


INLINE = re.compile(r"\\(?P<plain>[!-/:-@\[-`{-~])|\*\*|`(?P<code>[^`]+)`|(?P<other>.)")
"""Pieces of a line: a character behind a backslash, the beginning or end of bold text, code, any other character."""


def table_page(markdown: str, title: str) -> str:
    """Return a page with what a rule wrote as Markdown: tables, bold text, paragraphs.

    Args:
        markdown: the text; a table is a run of lines that begin with `|`, the second of which is a ruler.
        title: of the page.
    """
    blocks, rows = [], []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([_inline(cell) for cell in _cells(line)])
            continue
        if rows:
            blocks.append(_table(rows))
            rows = []
        if line.strip():
            blocks.append(f"<p>{_inline(line.strip())}</p>")
    body = "\n".join(blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n{body}\n</html>\n"
    )


def write_table_page(table: Path, output: Path) -> None:
    """Write `table_page` of a Markdown file."""
    atomic_write_text(output, table_page(table.read_text(encoding="utf-8"), table.stem))


def _cells(line: str) -> list[str]:
    """Take a line of a table apart; a bar behind a backslash belongs to its cell."""
    content = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", content)]


def _inline(text: str) -> str:
    """Return a line of Markdown as HTML: bold text, code, and characters that a backslash makes plain."""
    parts, bold = [], False
    for found in INLINE.finditer(text):
        plain, code, other = found.group("plain", "code", "other")
        if found[0] == "**":
            bold = not bold
            parts.append("<strong>" if bold else "</strong>")
        else:
            parts.append(
                f"<code>{html.escape(code, quote=False)}</code>" if code else html.escape(plain or other, quote=False)
            )
    return "".join([*parts, "</strong>" if bold else ""])


def _table(rows: list[list[str]]) -> str:
    head, _, *body = rows
    line = "<tr>{}</tr>".format
    heads = line("".join(f'<th scope="col">{cell}</th>' for cell in head))
    cells = "\n".join(line("".join(f"<td>{cell}</td>" for cell in row)) for row in body)
    return f'<div class="wide"><table>\n<thead>{heads}</thead>\n<tbody>\n{cells}\n</tbody>\n</table></div>'
