"""The version stands in `simformer/__init__.py`; what else names it must agree."""

import re
from pathlib import Path

import yaml

import simformer

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
RELEASES = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", CHANGELOG, re.M)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
"""Headings of Keep a Changelog."""


def test_the_changelog_begins_with_what_is_unreleased_and_the_version_here():
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.M)
    assert headings[0] == "[Unreleased]" and len(headings) == len(RELEASES) + 1, "## [1.2.3] - 2026-01-31"
    assert RELEASES[0][0] == simformer.__version__
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.M)) <= KINDS


def test_the_newest_release_stands_first():
    assert sorted(RELEASES, key=lambda release: [int(n) for n in release[0].split(".")], reverse=True) == RELEASES
    assert [day for _, day in RELEASES] == sorted((day for _, day in RELEASES), reverse=True)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], str(citation["date-released"])) == RELEASES[0]


def test_no_other_file_repeats_the_version():
    version = re.compile(rf"(?<![\d.=]){re.escape(simformer.__version__)}(?![\d.])")
    named = [f for f in ("pyproject.toml", "setup.py", "README.md") if version.search((ROOT / f).read_text())]
    assert not named
