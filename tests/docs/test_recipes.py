"""docs/new_method.md and docs/new_baseline.md: their files and changes, as printed, in a copy of the repository."""

import copy
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.docs.markdown import ROOT, Block, blocks
from tests.pipeline import TINY, Pipeline
from tests.workflow.test_baselines import BASELINES, QUICK

RECIPES = {"new_method": "certain", "new_baseline": "mirror"}
"""Pages, and the column that each one's new loss has in the log."""
MADE = {"new_method": "split1/mymethod/seed0/log.csv", "new_baseline": "full/maps/mirror/seed0/log.csv"}


def steps(name: str) -> list[list[Block]]:
    """Return the pieces of code of a page: before and with its change of code."""
    found = blocks(ROOT / f"docs/{name}.md")
    first = next(number for number, block in enumerate(found) if block.kind == "python")
    return [found[:first], found[first:]]


def apply(step: list[Block], folder: Path) -> None:
    for block in step:
        if block.kind == "diff":
            call = {"input": block.text, "cwd": folder, "capture_output": True, "text": True}
            done = subprocess.run(["git", "apply", "--verbose"], **call)
            assert done.returncode == 0 and "Skipped" not in done.stderr, done.stderr
        else:
            path = folder / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)


@pytest.fixture
def clone(tmp_path) -> Pipeline:
    made = Pipeline(tmp_path / "clone")
    (made.folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    subprocess.run(["git", "init", "--quiet"], cwd=made.folder, check=True)
    return made


@pytest.mark.parametrize("name", RECIPES)
def test_every_piece_of_code_says_which_file_it_is(name):
    assert all(block.file or block.kind == "diff" for step in steps(name) for block in step)


@pytest.mark.parametrize("name", RECIPES)
def test_both_ways_can_be_planned(name, clone):
    (plan,) = set(re.findall(r"^ {4}(simformer plan .*)$", (ROOT / f"docs/{name}.md").read_text(), re.M))
    rows = []
    for step in steps(name):
        apply(step, clone.folder)
        done = clone.shell(plan.replace("simformer", "python -m simformer.cli", 1))
        assert done.returncode == 0, done.stdout + done.stderr
        rows.append(set(re.findall(r"split1/(\w+)/seed0", done.stdout)))
        table = yaml.safe_load((clone.folder / "config/experiments/mytable.yaml").read_text())
        assert set(table["methods"]) - {"oracle"} <= rows[-1]
    done = clone.shell("lint-imports --no-logo --no-cache")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_the_new_loss_is_trained_with(name, clone):
    for step in steps(name):
        apply(step, clone.folder)
    study = copy.deepcopy(TINY) | {"experiments": ["mytable"]}
    own = ("warm", "mirror") if name == "new_baseline" else ()
    study["datasets"]["scenes"]["baselines"] = BASELINES | dict.fromkeys(own, QUICK)
    clone.study(study)
    done = clone.snakemake("--cores", "2", "--show-failed-logs", "results/tiny/mytable.md")
    assert done.returncode == 0, done.stdout + done.stderr
    log = (clone.folder / "results/tiny/scenes" / MADE[name]).read_text().splitlines()
    values = dict(zip(log[0].split(","), log[-1].split(","), strict=True))
    assert float(values[RECIPES[name]]) > 0
