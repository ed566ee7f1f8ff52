"""The pages as text: navigation, anchors, pieces of code, and equations beside their functions."""

import ast
import re

import pytest
import yaml

from docs.site import hooks
from docs.site.commands import commands_page
from simformer.commands.groups import GROUPS
from tests.docs.markdown import PAGES, ROOT, anchors, blocks, without_code

METHOD = (ROOT / "docs/method.md").read_text()
CODE_LINK = re.compile(r"\[`([\w.]+)`\]\(\.\./(simformer/[\w/]+\.py)\)")


def pages_of(navigation) -> list[str]:
    if isinstance(navigation, str):
        return [navigation]
    parts = navigation.values() if isinstance(navigation, dict) else navigation
    return [page for part in parts for page in pages_of(part)]


def test_every_page_is_in_the_navigation_once():
    navigation = pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    written = [page.name for page in (ROOT / "docs").glob("*.md")]
    made = [*hooks.COPIES, "commands.md", "api/index.md"]
    assert sorted(navigation) == sorted([*written, *made])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_anchor_of_a_link_is_a_heading(page):
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", without_code(page.read_text()))
    targets = [(page.parent / file if file else page, anchor) for file, anchor in links]
    assert not [(target.name, anchor) for target, anchor in targets if anchor not in anchors(target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_fenced_code_can_be_parsed(page):
    nothing = dict.fromkeys(("bash", "console", "diff", "sh"), str)  # their own tests read these
    readers = {"python": ast.parse, "yaml": yaml.safe_load} | nothing
    for block in blocks(page):
        readers[block.kind](block.text)


@pytest.mark.parametrize("page", [p for p in PAGES if CODE_LINK.search(p.read_text())], ids=lambda page: page.stem)
def test_a_link_to_code_names_what_its_file_defines(page):
    for name, file in CODE_LINK.findall(page.read_text()):
        tree = ast.parse((ROOT / file).read_text())
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name in defined, f"{page.name}: {file} has no {name}"


def test_every_equation_of_the_paper_stands_beside_its_function():
    functions = {
        "Eq. 1": ["classification_loss"],
        "Eq. 2": ["mask_losses"],
        "L_sim (Sec. 3.4)": ["similarity_loss"],
        "Eq. 3": ["distillation_loss"],
        "Eq. 4": ["complementary_loss"],
        "Eq. 5": ["SimFormerLoss", "total"],
    }
    parts = {part.split(":")[0]: part for part in METHOD.split("\n## ")}
    for equation, names in functions.items():
        assert "$$" in parts[equation]
        assert set(names) <= {name for name, _ in CODE_LINK.findall(parts[equation])}


def test_the_rows_of_the_page_are_rows_of_the_discrepancies():
    rows = set(re.findall(r"^\| (\d+) \|", (ROOT / "docs/discrepancies.md").read_text(), re.M))
    named = {row for group in re.findall(r"rows? ((?:\d+(?:, | and )?)+)", METHOD) for row in re.findall(r"\d+", group)}
    assert len(named) > 10 and named <= rows


def test_the_page_of_commands_says_of_each_what_it_does():
    """Under the heading of a command stands a sentence, before its options."""
    page = commands_page()
    told = re.findall(r"^### (\w+)\n\n([A-Z].*\.)\n\n\| option", page, re.M)
    assert [name for name, _ in told] == [name for group in GROUPS for name in group.commands]
    assert page.count("\n## ") == len(GROUPS)
