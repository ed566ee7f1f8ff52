"""The README shows the tables that the rules wrote, to the letter."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "table",
    [*sorted(ROOT.glob("results/demo_seeds/table*.md")), *sorted(ROOT.glob("results/msrc21/table*.md"))],
    ids=str,
)
def test_readme_holds_the_generated_table(table):
    assert table.read_text().strip() in (ROOT / "README.md").read_text()
