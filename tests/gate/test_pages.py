"""The kept pages of speed and growth are those that their numbers give today."""

import importlib
import json
from pathlib import Path

import pytest

KEPT = Path("docs/results/speed")
MODULES = {"steps": "tests.benchmarks.steps_page", "growth": "tests.benchmarks.growth"}


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.json")), ids=lambda path: path.stem)
def test_the_page_is_that_of_its_numbers(path):
    page = importlib.import_module(MODULES[path.stem]).page(json.loads(path.read_text()))
    assert path.with_suffix(".md").read_text() == page
