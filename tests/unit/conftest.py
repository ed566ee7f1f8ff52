"""A small study, whose files a test may change, and the stages of the baselines, made once for all tests."""

from collections.abc import Callable

import pytest
import yaml

from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
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


def error_of(catalogue: Callable[..., Catalogue], *arguments: dict) -> str:
    """Return why a study is refused; arguments are those of the fixture."""
    with pytest.raises(UserError) as error:
        catalogue(*arguments)
    return str(error.value)
