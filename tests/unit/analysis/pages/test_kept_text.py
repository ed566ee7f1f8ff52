"""Kept tables are what is printed today: the letters of good numbers and of today's names do not change."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from simformer.analysis import markup
from simformer.analysis.tables.intervals import intervals_page
from simformer.analysis.tables.read_table import read_table
from simformer.analysis.tables.table_text import csv_text
from simformer.analysis.tables.tables import render

KEPT = Path("docs/results")
METHODS = {path.stem: yaml.safe_load(path.read_text()) for path in Path("config/methods").glob("*.yaml")}
EXPERIMENTS = {path.stem: yaml.safe_load(path.read_text()) for path in Path("config/experiments").glob("*.yaml")}
LABELS = [{"method": name, "label": content["label"]} for name, content in METHODS.items()]


def kept(pattern: str) -> list[Path]:
    return sorted(path for path in KEPT.glob(pattern) if path.stem in EXPERIMENTS)


def title(path: Path) -> str:
    return EXPERIMENTS[path.stem]["title"]


@pytest.mark.parametrize("path", kept("*/*.csv"), ids=str)
def test_tables(path):
    table, printed = read_table(path), path.with_suffix(".md").read_text()
    (seeds,) = [line.rpartition(": ")[2] for line in printed.splitlines() if line.startswith("Percent;")]
    labels = dict(table[["method", "label"]].values)
    rows = [{"method": name, "label": label, "ranked": False} for name, label in labels.items()]
    found = render(table, {"title": title(path), "rows": rows}, list(seeds.split(".")[0].split(", ")), [])[".md"]
    for mine, theirs in zip(_cells(found), _cells(printed), strict=True):
        assert len(mine) == len(theirs)
        assert all(a == b or _rounded_twice(a, b) for a, b in zip(mine, theirs, strict=True))


NUMBER = re.compile(r"([-+]?[0-9]+\.[0-9]+)")


def _rounded_twice(found: str, printed: str) -> bool:
    """Whether the csv's fourth digit made a half of what was just below one."""
    return abs(float(found) - float(printed)) < 0.11 and found != printed


def _cells(text: str) -> list[list[str]]:
    """Cells without bold type, which the csv does not tell, and without the ruler."""
    return [[cell.strip(" *") for cell in line.split("|")] for line in text.splitlines() if "---" not in line]


@pytest.mark.parametrize("path", kept("*/intervals/*.csv"), ids=str)
def test_intervals(path):
    table = pd.read_csv(path)
    equal = table["image_low"].isna().map({True: "no spread", False: ""})  # why an interval lacks is not in the csv
    table = table.assign(image_lack=equal, seed_lack="few seeds", lack=equal)
    found = intervals_page(table, title(path), LABELS)
    printed = path.with_suffix(".md").read_text()
    for mine, theirs in zip(found.splitlines(), printed.splitlines(), strict=True):
        pairs = zip(NUMBER.split(mine), NUMBER.split(theirs), strict=True)
        differing = [(a, b) for a, b in pairs if a != b and not (NUMBER.fullmatch(a) and _rounded_twice(a, b))]
        assert not differing or "+0.0 to +0.0" in theirs


@pytest.mark.parametrize("path", sorted(KEPT.rglob("*.csv")), ids=str)
def test_names_stay_as_they_are_and_csv_stays_equal(path):
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    for column in ("label", "statement", "first", "second", "class", "of", "dataset", "method"):
        for name in table.get(column, []):
            assert markup.name(name) == name or "|" in name
    assert csv_text(read_table(path), "%.4f").count("\n") == path.read_text().count("\n")


@pytest.mark.parametrize("path", [*METHODS.values(), *EXPERIMENTS.values()])
def test_labels_and_titles_stay_as_they_are(path):
    label, heading = path.get("label", ""), path.get("title", "")
    assert markup.name(label) == label and markup.strong(heading) == f"**{heading}**"
