"""A Slurm cluster for the tests of this folder, or the reason why there is none."""

import pytest

from tests.slurm.cluster import Cluster, missing


@pytest.fixture(scope="session")
def cluster():
    """Two nodes with two declared GPUs each."""
    if reason := missing():
        pytest.skip(reason)
    running = Cluster()
    yield running
    running.close()
