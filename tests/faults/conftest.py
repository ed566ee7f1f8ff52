"""A tiny dataset of the user's own, and the same one prepared and audited, as fresh copies for each test."""

import shutil
from pathlib import Path

import pytest

from simformer.cli import main
from tests.faults.harness import audit_arguments, prepare_arguments, write_dataset
from tests.faults.world import make_world


@pytest.fixture(scope="session")
def _made(tmp_path_factory) -> Path:
    """`source` (the user's folder) and `data/mydata` (prepared, with index.json and audit.json)."""
    folder = tmp_path_factory.mktemp("faults")
    source, data = write_dataset(folder / "source"), folder / "data/mydata"
    assert main(prepare_arguments(source, data)) == 0
    assert main(audit_arguments(data, "index.json", "audit.json")) == 0
    return folder


@pytest.fixture
def source(_made, tmp_path) -> Path:
    """The user's folder dataset."""
    return shutil.copytree(_made / "source", tmp_path / "source")


@pytest.fixture
def data(_made, tmp_path) -> Path:
    """The same dataset in its prepared place, audited."""
    return shutil.copytree(_made / "data/mydata", tmp_path / "data/mydata")


@pytest.fixture(scope="session")
def _world(_made, new_config, tmp_path_factory) -> Path:
    """See `world.make_world`."""
    root = tmp_path_factory.mktemp("world")
    make_world(root, _made / "data/mydata", new_config)
    return root


@pytest.fixture
def world(_world, tmp_path) -> Path:
    """Label sets, models, evaluations and class maps of the same dataset, and of others."""
    return shutil.copytree(_world, tmp_path / "world", symlinks=True)
