"""The tiny study survives Ctrl-C and `kill -9` at three moments: the same command completes it, with equal weights."""

import os
import signal
import time

import pytest

from tests.pipeline import TINY, Pipeline

pytestmark = pytest.mark.slow

STUDY = TINY | {"experiments": ["modules"]}
MOMENTS = (".snakemake/log/*.log", "data/scenes/classes.json", "results/tiny/scenes/split1/*/seed0/state.lock")
"""What is there when Snakemake has begun, when the dataset is there, and while a training goes on."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    pipeline = Pipeline(tmp_path_factory.mktemp("undisturbed"))
    pipeline.study(STUDY)
    done = pipeline.snakemake("--cores", "2", "--show-failed-logs")
    assert done.returncode == 0, done.stdout + done.stderr
    return pipeline.weights()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_interrupted_study_completes_with_the_same_weights(tmp_path, undisturbed, number):
    pipeline = Pipeline(tmp_path)
    pipeline.study(STUDY)
    for begun in MOMENTS:
        process = pipeline.start("--cores", "2", "--rerun-incomplete", log=tmp_path / "snakemake.log")
        while not list(tmp_path.glob(begun)):
            assert process.poll() is None, (tmp_path / "snakemake.log").read_text()
            time.sleep(0.02)
        os.killpg(process.pid, number)
        process.wait(timeout=120)
        if number == signal.SIGKILL:
            assert pipeline.snakemake("--unlock").returncode == 0
    done = pipeline.snakemake("--cores", "2", "--rerun-incomplete", "--show-failed-logs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert pipeline.weights() == undisturbed
    assert not list(pipeline.folder.rglob("*.part"))
