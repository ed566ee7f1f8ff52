"""The tiny study survives Ctrl-C and `kill -9` at any time: the same command completes it, with the same weights."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.pipeline import TINY, Pipeline

pytestmark = pytest.mark.slow

STUDY = TINY | {"experiments": ["table2"]}


def weights(pipeline):
    """Hash of every trained network, by run."""
    files = sorted((pipeline.folder / "results").rglob("model.safetensors"))
    return {str(f.relative_to(pipeline.folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    pipeline = Pipeline(tmp_path_factory.mktemp("undisturbed"))
    pipeline.study(STUDY)
    done = pipeline.snakemake("--cores", "2", "--show-failed-logs")
    assert done.returncode == 0, done.stdout + done.stderr
    return weights(pipeline)


def start(pipeline):
    """Start the study in its own process group, as a terminal does."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    env = os.environ | {"PATH": path, "PYTHONPATH": str(pipeline.folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "snakemake", "--configfile", "config/tiny.yaml", "--cores", "2"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=pipeline.folder, env=env, start_new_session=True, **quiet)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_interrupted_study_completes_with_the_same_weights(tmp_path, undisturbed, number):
    pipeline = Pipeline(tmp_path)
    pipeline.study(STUDY)
    for seconds in (2, 9, 17):
        process = start(pipeline)
        time.sleep(seconds)
        os.killpg(process.pid, number)
        process.wait(timeout=120)
        if number == signal.SIGKILL:
            assert pipeline.snakemake("--unlock").returncode == 0
    done = pipeline.snakemake("--cores", "2", "--rerun-incomplete", "--show-failed-logs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights(pipeline) == undisturbed
    assert not list(pipeline.folder.rglob("*.part"))
