"""README shows the tables that the rules wrote, to the letter; docs/results.md and the other pages link to them."""

import re
from pathlib import Path

from simformer.analysis.pages.results_page import results_page

ROOT = Path(__file__).resolve().parents[2]
STUDIES = {path.stem for path in ROOT.glob("config/*.yaml")}
KEPT = sorted(path for path in ROOT.glob("docs/results/*/*.md") if path.parent.name in STUDIES)
LINK = re.compile(r"\]\(([^)#]+)\)")
README = (ROOT / "README.md").read_text()


def test_the_page_of_results_is_in_sync(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = results_page(sorted(Path("config").glob("*.yaml")), Path("docs/results"), Path("docs"))
    assert (ROOT / "docs/results.md").read_text() == page, "run: snakemake --cores 1 --force docs/results.md"


def test_every_kept_table_and_picture_is_on_a_page_and_every_link_leads_to_a_file():
    """What no page shows needs no place in git."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    linked = {
        (page.parent / link).resolve()
        for page in pages
        for link in LINK.findall(page.read_text())
        if not link.startswith("http")
    }
    assert not [path for path in linked if not path.exists()]
    tables = [path for path in ROOT.glob("docs/results/**/*.md") if path.parts[-2] != "speed"]
    assert set(tables) | set(ROOT.glob("docs/results/**/*.png")) <= linked


def test_a_table_of_the_readme_is_one_that_a_rule_wrote():
    titles = [line for line in README.splitlines() if line.startswith("**Table")]
    shown = [table.read_text().strip() for table in KEPT if table.read_text().strip() in README]
    assert len(titles) == len(shown) >= 1
