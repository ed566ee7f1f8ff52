"""The rules of the house: layers, the wall before truth, few rooms, short files; docs/architecture.md tells them."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from importlinter.cli import lint_imports

from docs.draw import layers, stages
from tests.pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "simformer"
ROOMS, LINES = 12, 350
WRITTEN = (".py", ".smk", ".js", ".css", ".html", ".yaml")
"""Endings of files that are written by hand."""


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def names(module: Path) -> set[str]:
    """Every name that a module uses, gives or imports."""
    nodes = ast.walk(ast.parse(module.read_text()))
    found = {getattr(node, field, None) for node in nodes for field in ("id", "attr", "arg", "name", "module")}
    return {name for name in found if isinstance(name, str)}


def test_the_contracts_of_imports_are_kept(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out


def test_nothing_among_the_baselines_names_truth():
    assert {name for name in names(PACKAGE / "claims/maps.py") if "truth" in name}, "the search finds what there is"
    named = {
        (module.name, name) for module in modules(PACKAGE / "baselines") for name in names(module) if "truth" in name
    }
    assert not named


def test_who_opens_a_label_set_with_all_masks():
    """The labels of crops, as released, and F1 of SimNet; claims, tables and pictures score."""
    opening = re.compile(r"require_truth|require\(.*['\"]full['\"]")
    openers = {str(module.relative_to(PACKAGE)) for module in modules(PACKAGE) if opening.search(module.read_text())}
    outside = {name for name in openers if not name.startswith(("claims/", "analysis/"))}
    assert outside == {"data/identity.py", "data/masking.py", "simnet_f1.py"}


def test_the_package_has_few_rooms():
    direct = [module.name for module in PACKAGE.glob("*.py") if module.name != "__init__.py"]
    assert len(direct) <= ROOMS, direct


@pytest.mark.parametrize("folder", ["simformer", "workflow", "tests"])
def test_no_file_is_long(folder):
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in WRITTEN]
    counts = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert len(files) > 3 and not {name: count for name, count in counts.items() if count > LINES}


def test_a_wheel_tells_type_checkers_that_the_package_has_types():
    """`py.typed` (PEP 561); without it they take everything of the package for `Any`."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["simformer"]
    assert PACKAGE / "py.typed" in {path for pattern in data for path in PACKAGE.glob(pattern)}


def where_is_what() -> dict[str, str]:
    """The table of docs/architecture.md: what is looked for, and where."""
    page = (ROOT / "docs/architecture.md").read_text()
    table = page.partition("## Where is what")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, re.M)[1:])


def test_the_page_finds_equations_rows_splits_truth_and_memory():
    looked_for = ", ".join(where_is_what())
    rows = yaml.safe_load((ROOT / "config/experiments/table1.yaml").read_text())["methods"]
    labels = [yaml.safe_load((ROOT / f"config/methods/{row}.yaml").read_text())["label"] for row in rows]
    for name in (*labels, "Eq. 1", "Eq. 2", "Eq. 3", "Eq. 4", "Eq. 5", "split", "truth", "memory"):
        assert re.search(rf"(?<!\w){re.escape(name)}(?![\w*])", looked_for), name


@pytest.mark.parametrize(("what", "places"), where_is_what().items())
def test_the_page_names_files_that_are_there(what, places):
    paths = [name for name in re.findall(r"`([^` ]+)`", places) if "/" in name]
    assert paths and all((ROOT / path).exists() for path in paths), what


def test_the_picture_of_the_layers_is_that_of_the_contracts():
    assert layers.PICTURE.read_text() == layers.picture(), "run: make reference"


def graph(**needs: list[str]) -> str:
    """What `snakemake --rulegraph dot` prints for rules and what each needs."""
    rules = [*needs, "all"]
    lines = [f'{i}[label = "{rule}", color = "0.5 0.6 0.85", style="rounded"];' for i, rule in enumerate(rules)]
    lines += [f"{rules.index(a)} -> {rules.index(b)}" for b, some in needs.items() for a in some]
    return "digraph {\n" + "\n".join(lines) + f"\n{len(needs) - 1} -> {len(needs)}\n}}"


def test_rules_of_a_file_share_a_box_unless_others_come_between():
    files = {"split": "labels", "pseudo": "labels", "cam": "maps", "mix": "maps", "rib": "rib", "train": "train"}
    dot = graph(split=[], cam=["split"], rib=["cam"], mix=["rib", "cam"], train=["mix", "pseudo"], pseudo=["train"])
    rules, arrows, loops = stages.read_graph(dot, files | {"absent": "train"})
    assert rules == list(files) and loops == {("train", "pseudo")}
    boxes = [
        ("labels", ["split", "pseudo"]),
        ("maps", ["cam"]),
        ("rib", ["rib"]),
        ("maps", ["mix"]),
        ("train", ["train"]),
    ]
    assert stages.boxes_of(rules, arrows, files) == boxes
    picture = stages.picture(dot, files)
    assert picture.count('class="arrow"') == 4 and picture.count('class="arrow loop"') == 1, "cam -> mix is implied"
    assert picture.count("<rect") - 1 == len(boxes) and ">all<" not in picture


@pytest.mark.slow
def test_the_picture_of_the_stages_is_that_of_the_workflow(tmp_path):
    words = ("--configfile", "config/demo.yaml", "--rulegraph", "dot", "--", "all", "measured_baselines")
    dot = Pipeline(tmp_path / "copy").typed(*words)
    assert dot.returncode == 0, dot.stderr
    assert stages.PICTURE.read_text() == stages.picture(dot.stdout, stages.files_of_rules()), "run: make reference"


def test_every_rule_has_a_file():
    files = stages.files_of_rules()
    assert {"train", "evaluate", "table", "mask_labels", "response_network"} <= files.keys() and len(files) > 60
