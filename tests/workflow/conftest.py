"""Working copies of the pipeline, and studies to run in them."""

import copy

import pytest

from tests.pipeline import TINY, Pipeline


@pytest.fixture
def tiny() -> dict:
    """The tiny study as written to `config/tiny.yaml`."""
    return TINY


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    """A copy in which nothing has been run."""
    return Pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture
def new_pipeline(tmp_path) -> Pipeline:
    """A copy of its own for a test that runs something."""
    return Pipeline(tmp_path / "pipeline")


@pytest.fixture(scope="module")
def finished(request, tmp_path_factory) -> Pipeline:
    """A copy in which the `TARGETS` of a module's tests have been made."""
    pipeline = Pipeline(tmp_path_factory.mktemp("finished"))
    done = pipeline.snakemake("--cores", "2", "--show-failed-logs", "--", *request.module.TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    return pipeline


@pytest.fixture
def restored(finished):
    """Put the study and the configuration files of that copy back after each edit."""
    yield
    finished.restore()


@pytest.fixture
def study_with(tiny):
    """Return a function that copies the tiny study with changes, `a__b` meaning content["a"]["b"]."""
    return lambda **changes: changed(tiny, changes)


def changed(tiny, changes):
    content = copy.deepcopy(tiny)
    for path, value in changes.items():
        node = content
        *parents, last = path.split("__")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return content
