"""The site: how pages are changed for it, and the built pages, which need nothing from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.site import api, commands, hooks
from simformer.cli import parsers
from tests.docs.markdown import ROOT

WEB = re.compile(r"(?:[a-z]+:)?//")


class Found(HTMLParser):
    """Anchors of a page, what it links to, and what a browser loads with it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.add(given["href"])
        elif given.get("src"):
            self.loaded.add(given["src"])
        elif tag == "link" and given.get("rel") != "canonical" and given.get("href"):
            self.loaded.add(given["href"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1. a\n\n       code\n\n   text\n2. b", "1. a\n\n        code\n\n    text\n2. b"),
        ("- a\n  - b\n\nend\n  x", "- a\n    - b\n\nend\n  x"),
        ("10. a\n    b\n\n    code", "10. a\n    b\n\n    code"),
        ("text\n\n    code", "text\n\n    code"),
        ("```yaml\n- a: 1\n  b: 1\n```", "```yaml\n- a: 1\n  b: 1\n```"),
    ],
)
def test_items_of_lists_hold_what_they_hold_on_github(written, meant):
    assert hooks.indented(written) == meant


def test_an_equation_becomes_mathml():
    html = hooks.on_page_content(r'<p><span class="arithmatex">\(a &lt; b\)</span></p>', None, None, None)
    assert "<math" in html and "arithmatex" not in html and "<mo>&lt;</mo>" in html.replace("&#x0003C;", "&lt;")


def test_the_page_of_commands_has_every_command_and_option():
    page = commands.commands_page()
    for name, parser in parsers().items():
        part = re.split("\n##+ ", page.partition(f"\n### {name}\n")[2])[0]
        options = {option for action in parser._actions for option in action.option_strings} - {"-h", "--help"}
        assert part and options <= set(re.findall(r"(?<![\w-])--?[\w-]+", part)), name


def test_every_module_of_the_library_is_on_a_page():
    packages = api.modules(ROOT)
    listed = {module for members in packages.values() for module in members}
    written = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "simformer").rglob("*.py")
    }
    assert {module for module in written if not module.startswith(api.INNER)} == listed
    assert "::: simformer.losses.total" in api.package_page("simformer.losses", packages["simformer.losses"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> dict[Path, Found]:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout + done.stderr
    return {page: Found(page) for page in folder.rglob("*.html")}


@pytest.mark.slow
def test_every_link_of_the_built_site_leads_somewhere(site):
    lost = []
    for page, found in site.items():
        if page.name == "404.html":
            continue
        for link in found.links | found.loaded:
            if WEB.match(link) or link.startswith(("mailto:", "data:")):
                continue
            parts = urlsplit(link)
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchors = site[target].anchors | {"", "__top"} if target in site else {parts.fragment}
            if not target.exists() or unquote(parts.fragment) not in anchors:
                lost.append((page.name, link))
    assert len(site) > 60 and not lost


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site):
    assert not {source for found in site.values() for source in found.loaded if WEB.match(source)}
    text = next(page for page in site if page.name == "method.html").read_text()
    assert text.count("<math") > 40 and "arithmatex" not in text and "$$" not in text
    tutorial = next(page for page in site if page.name == "tutorial.html").read_text()
    assert re.search(r"<code>(?:<[^>]+>)*make setup", tutorial), "code within a list"
