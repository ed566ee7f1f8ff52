"""The tiny study survives Ctrl-C and `kill -9` at any time: the same command completes it, with the same weights."""

import os
import signal
import time

import pytest

from tests.pipeline import TINY, Pipeline

pytestmark = pytest.mark.slow

STUDY = TINY | {"experiments": ["modules"]}


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
    for seconds in (2, 9, 17):
        process = pipeline.start("--cores", "2", log=tmp_path / "snakemake.log")
        time.sleep(seconds)
        os.killpg(process.pid, number)
        process.wait(timeout=120)
        if number == signal.SIGKILL:
            assert pipeline.snakemake("--unlock").returncode == 0
    done = pipeline.snakemake("--cores", "2", "--rerun-incomplete", "--show-failed-logs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert pipeline.weights() == undisturbed
    assert not list(pipeline.folder.rglob("*.part"))
