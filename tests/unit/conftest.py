"""A small study, whose files a test may change, a bare machine, and the baselines' stages, made once for all tests."""

from collections.abc import Callable

import pytest
import yaml

from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from tests.stubs import Programs
from tests.unit.baselines.conta.first_round import round1  # noqa: F401
from tests.unit.baselines.retab.retab_stages import retab  # noqa: F401
from tests.unit.baselines.stages import image_set, stages  # noqa: F401

BASIC = {
    "datasets/toys": {"title": "Toys", "source": {"kind": "scenes"}},
    "methods/plain": {"label": "Plain"},
    "experiments/table1": {"title": "T", "methods": ["plain"]},
}
STUDY = {"datasets": {"toys": {"splits": {1: {"novel": ["sea"]}, 2: {"seed": 4}}}}}


@pytest.fixture
def catalogue(tmp_path):
    """Write configuration files and read the study over them."""

    def make(files: dict | None = None, study: dict | None = None) -> Catalogue:
        for name, content in (BASIC | (files or {})).items():
            path = tmp_path / f"{name}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(yaml.safe_dump(content))
        return Catalogue(study or STUDY, "study.yaml", tmp_path)

    return make


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH on which nothing is but what a test adds."""
    return Programs(tmp_path / "bin", monkeypatch)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory, and no configuration of Snakemake elsewhere."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    return folder


def error_of(catalogue: Callable[..., Catalogue], *arguments: dict) -> str:
    """Return why a study is refused; arguments are those of the fixture."""
    with pytest.raises(UserError) as error:
        catalogue(*arguments)
    return str(error.value)
