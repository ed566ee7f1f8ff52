"""Working copies of the pipeline, untouched and finished."""

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
def finished(tmp_path_factory) -> Pipeline:
    """A copy in which the tiny study has been run to its tables."""
    copy = Pipeline(tmp_path_factory.mktemp("finished"))
    done = copy.snakemake("--cores", "2", "--show-failed-logs")
    assert done.returncode == 0, done.stdout + done.stderr
    return copy
