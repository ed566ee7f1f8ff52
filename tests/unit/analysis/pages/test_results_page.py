"""docs/results.md: every table stands below the study that makes it."""

import pytest

from simformer.analysis.pages.results_page import results_page

STUDIES = {
    "demo": "# The demo.\nresults: results/demo\nexperiments: [table1]\n",
    "demo_plus": "# Five seeds.\nresults: results/demo\nexperiments: [table1, plus]\n",
    "demo_more": "# Makes nothing that is kept.\nresults: results/demo\nexperiments: [other]\n",
    "alone": "# Another one.\nresults: /somewhere/else\nexperiments: [table1]\n",
    "lost": "# Has no folder.\nresults: results/lost\nexperiments: [table1]\n",
}


@pytest.fixture
def page(tmp_path):
    for name, text in STUDIES.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    for table in ("demo/table1", "demo/plus", "demo/baseline_checks", "alone/table1"):
        (tmp_path / "results" / table).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / f"{table}.md").write_text(f"**{table}**\n")
    return results_page(sorted(tmp_path.glob("*.yaml")), tmp_path / "results", tmp_path)


def test_a_table_stands_below_the_study_that_makes_it(page):
    alone, demo = page.split("## demo\n")
    first, second = demo.split("`config/demo_plus.yaml`:")
    assert "# The demo." in first and "(results/demo/table1.md)" in first
    assert "(results/demo/baseline_checks.md)" in first, "what is no experiment stands below the folder's own study"
    assert "# Five seeds." in second and "(results/demo/plus.md)" in second and "table1" not in second
    assert "(results/alone/table1.md)" in alone


def test_studies_of_which_nothing_is_kept_are_not_there(page):
    assert "demo_more" not in page and "lost" not in page
    assert "Folders: [alone](#alone), [demo](#demo)." in page
