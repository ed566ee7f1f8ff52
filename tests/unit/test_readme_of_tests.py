"""tests/README.md names every folder of tests, and no other."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_the_table_names_every_folder():
    named = re.findall(r"^\| `(\w+)/` \|", (TESTS / "README.md").read_text(), re.M)
    there = {path.parent.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/*.py")}
    assert sorted(set(named)) == sorted(there)
