"""What mkdocs.yml adds to the pages of docs/: pages that are made from other sources, links and equations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.site.api import OVERVIEW, anchor, modules, package_page
from docs.site.commands import commands_page
from docs.site.messages import filled

ROOT = Path(__file__).resolve().parents[2]
COPIES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site that are files of the repository's root."""
CODE = re.compile(r"(^```.*?^```|^(?: {4}|\t).*$|`[^`\n]+`|\]\([^)]*\))", re.M | re.S)
"""What links are not made in: blocks and pieces of code, and the targets of links."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name a page per package in the navigation."""
    (reference,) = (part["Reference"] for part in config.nav if "Reference" in part)
    (python,) = (part["Python"] for part in reference if "Python" in part)
    python.extend({package.removeprefix("simformer."): f"api/{package}.md"} for package in modules(ROOT))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that have no file in docs/."""
    packages = modules(ROOT)
    made = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in COPIES.items()}
    made |= {f"api/{package}.md": package_page(package, members) for package, members in packages.items()}
    made |= {"api/index.md": OVERVIEW, "commands.md": commands_page()}
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links of the repository into links of the site."""
    if page.file.src_uri in COPIES:
        names = {source: copy for copy, source in COPIES.items()}
        text = re.sub(r"\]\((?:docs/)?([^):]+)\)", lambda m: f"]({names.get(m[1], m[1])})", text)
    if page.file.src_uri.startswith("api/"):
        return text
    text = re.sub(r"\[`([\w.]+)`\]\(\.\./(simformer/[\w/]+)\.py\)", lambda m: f"[`{m[1]}`]({anchor(m[2], m[1])})", text)
    titles, up = dict(_titles(config.nav)), "../" * page.file.src_uri.count("/")
    parts = CODE.split(text)
    parts[::2] = (
        re.sub(r"(?<![\w/])docs/(\w+\.md)", lambda m: f"[{titles[m[1]]}]({up}{m[1]})" if m[1] in titles else m[0], part)
        for part in parts[::2]
    )
    return indented(filled("".join(parts), ROOT))


def indented(text: str) -> str:
    """Indent what belongs to an item of a list by four spaces, as Python-Markdown asks; GitHub takes less.

    Blocks of code that stand outside of lists stay as they are.
    """
    lines, width, code = [], 0, False
    for line in text.split("\n"):
        if line.startswith("```"):
            width, code = 0, not code
        elif item := None if code else re.match(r"(?:\d+\.|-) ", line):
            width = len(item[0])
        elif width and line.startswith(" " * width):
            line = " " * (4 - width) + line
        elif line:
            width = 0
        lines.append(line)
    return "\n".join(lines)


def _titles(navigation: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield each page of the navigation with its title there."""
    for part in navigation:
        for title, page in part.items() if isinstance(part, dict) else []:
            yield from [(page, title)] if isinstance(page, str) else _titles(page)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make MathML of equations, which needs no script; let names in tables break; keep code out of the search."""

    def mathml(found: re.Match[str]) -> str:
        return convert(unescape(found[2]), display="inline" if found[1] == "span" else "block")

    def breakable(cell: re.Match[str]) -> str:
        return re.sub(
            r"(<code>)([^<]+)", lambda code: code[1] + re.sub(r"([/_.])(?=[A-Za-z])", r"\1<wbr>", code[2]), cell[0]
        )

    html = html.replace(
        '<details class="mkdocstrings-source"', '<details data-search-exclude class="mkdocstrings-source"'
    )
    html = re.sub(r"<td.*?</td>", breakable, html, flags=re.S)
    return re.sub(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', mathml, html, flags=re.S)
