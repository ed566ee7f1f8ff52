"""README and docs/results.md show the tables that the rules wrote, to the letter."""

from pathlib import Path

import pytest

from simformer.analysis.pages.results_page import results_page

ROOT = Path(__file__).resolve().parents[2]
STUDIES = {path.stem for path in ROOT.glob("config/*.yaml")}
KEPT = sorted(path for path in ROOT.glob("docs/results/*/*.md") if path.parent.name in STUDIES)
README = (ROOT / "README.md").read_text()


def test_the_page_of_results_is_in_sync(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {path.parent.name for path in KEPT}
    studies = [path for path in sorted(Path("config").glob("*.yaml")) if path.stem in names]
    page = results_page(studies, Path("docs/results"), Path("docs"))
    assert (ROOT / "docs/results.md").read_text() == page, "run: snakemake --cores 1 --force docs/results.md"


@pytest.mark.parametrize("table", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_page_holds_every_table(table):
    page = (ROOT / "docs/results.md").read_text()
    assert all(part in page for part in table.read_text().strip().split("\n\n"))


def test_a_table_of_the_readme_is_one_that_a_rule_wrote():
    titles = [line for line in README.splitlines() if line.startswith("**Table")]
    shown = [table.read_text().strip() for table in KEPT if table.read_text().strip() in README]
    assert len(titles) == len(shown) >= 2
