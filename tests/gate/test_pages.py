"""The kept pages of speed and growth are those that their numbers give today."""

import importlib
import json
from pathlib import Path

import pytest

KEPT = Path("docs/results/speed")
MODULES = {
    "steps": "tests.benchmarks.steps_page",
    "plus": "tests.benchmarks.steps_page",
    "parts": "tests.benchmarks.parts",
    "growth": "tests.benchmarks.growth",
    "optimisations": "tests.benchmarks.optimisations",
}


@pytest.mark.parametrize("name", [name for name in MODULES if (KEPT / f"{name}.json").exists()])
def test_the_page_is_that_of_its_numbers(name):
    page = importlib.import_module(MODULES[name]).page(json.loads((KEPT / f"{name}.json").read_text()))
    assert (KEPT / f"{name}.md").read_text() == page
