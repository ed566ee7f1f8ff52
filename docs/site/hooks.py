"""What mkdocs.yml adds to the pages of docs/: pages that are made from other sources, links and equations."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

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
    text = filled(text, ROOT)
    text = re.sub(r"\[`([\w.]+)`\]\(\.\./(simformer/[\w/]+)\.py\)", lambda m: f"[`{m[1]}`]({anchor(m[2], m[1])})", text)
    pages = {file.src_uri for file in files.documentation_pages()}
    parts = CODE.split(text)
    parts[::2] = (
        re.sub(r"(?<![\w/])docs/(\w+\.md)", lambda m: f"[{m[0]}]({m[1]})" if m[1] in pages else m[0], part)
        for part in parts[::2]
    )
    return "".join(parts)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn equations into MathML, which browsers draw without a script."""

    def mathml(found: re.Match[str]) -> str:
        return convert(unescape(found[2]), display="inline" if found[1] == "span" else "block")

    return re.sub(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', mathml, html, flags=re.S)
