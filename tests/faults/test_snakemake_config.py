"""Snakemake reads a study as `simformer` does: what is refused there is refused here, before any job."""

import os
import subprocess
import sys

import pytest
import yaml

from tests.pipeline import TINY, Pipeline

DEFAULT = "config/config.yaml"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp("pipeline"))


def planned(pipeline: Pipeline, *arguments: str, files: tuple[str, ...] = ("config/x.yaml",)) -> tuple[int, str]:
    """Plan the jobs; returns the exit status and all that is printed."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", *arguments]
    command += ["--configfile", *files] if files else []
    env = os.environ | {"PYTHONPATH": str(pipeline.folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=pipeline.folder, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def study(**changes) -> str:
    return yaml.safe_dump(TINY | changes)


MISTAKES = (
    (study().replace("    splits:\n      1:", "    splits:\n      010:"), "'010' is octal to some readers of YAML"),
    (study().replace("    splits:\n      1:", "    splits:\n      1_0:"), "'1_0' is a number to some readers"),
    (study() + "seeds: [1]\nseeds: [2]\n", "key 'seeds' is given twice"),
    (study(seeds=[10**20]), "key 'seeds.0': input should be less than 2147483648"),
    (study(seeds=["1"]), "key 'seeds.0': should be a whole number, found '1'"),
    (study(results="a{b}"), "results holds '{', which Snakemake takes for a wildcard"),
    (study(results=""), "results is empty"),
    ("seeds: [0]\n", "key 'datasets' is missing; a study replaces config/config.yaml"),
    (study() + "x: &a [1]\ny: {<<: {a: 1}}\n", "merge keys ('<<') are not read here"),
)
"""A study's text, and what is said of it."""


@pytest.mark.parametrize(
    ("text", "message"), [*MISTAKES[:2], *(pytest.param(*mistake, marks=pytest.mark.slow) for mistake in MISTAKES[2:])]
)
def test_a_study_that_is_refused(pipeline, text, message):
    (pipeline.folder / "config/x.yaml").write_text(text)
    status, said = planned(pipeline)
    assert status != 0 and "Traceback" not in said
    assert len([line for line in said.splitlines() if message in line and "config/x.yaml" in line]) == 1, said


def test_what_stands_on_the_command_line_has_the_same_meaning(pipeline):
    (pipeline.folder / "config/x.yaml").write_text(study())
    status, said = planned(pipeline, "--config", "seeds=[010]")
    assert status != 0 and "--config seeds=[010]: line 1: '010' is octal" in said
    status, said = planned(pipeline, "--config", "seeds=[10, 11]")
    assert status == 0 and "seed10" in said and "seed11" in said


@pytest.mark.slow
def test_a_later_study_file_wins(pipeline):
    (pipeline.folder / "config/x.yaml").write_text(study())
    (pipeline.folder / "config/y.yaml").write_text("seeds: [12]\n")
    status, said = planned(pipeline, files=("config/x.yaml", "config/y.yaml"))
    assert status == 0 and "seed12" in said and "seed0" not in said


@pytest.mark.slow
def test_a_default_study_that_is_no_text(pipeline):
    path = pipeline.folder / DEFAULT
    text = path.read_text()
    path.write_bytes(text.encode("utf-16"))
    status, said = planned(pipeline, files=())
    path.write_text(text)
    assert status != 0 and f"{DEFAULT}: not UTF-8 text" in said and "Traceback" not in said


def test_a_split_that_does_not_fit_the_prepared_classes(pipeline):
    (pipeline.folder / "config/x.yaml").write_text(study(data="other"))
    (pipeline.folder / "other/scenes").mkdir(parents=True)
    (pipeline.folder / "other/scenes/classes.json").write_text('{"names": ["sea", "land"]}')
    status, said = planned(pipeline)
    assert status != 0 and "config/x.yaml: datasets.scenes.splits.1: unknown class" in said
