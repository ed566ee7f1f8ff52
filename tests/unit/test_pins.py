"""Versions: the tested ones in envs/constraints.txt, the lowest in pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]


def pins() -> dict[str, str]:
    lines = (ROOT / "envs/constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"==[^,]+", str(pin.specifier)) for pin in found), "one exact version each"
    assert len(found) == len({canonicalize_name(pin.name) for pin in found}), "each package once"
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in found}


LOCK = pins()


@pytest.mark.parametrize("line", WANTED)
def test_what_the_project_needs_is_locked_at_a_version_that_it_allows(line):
    wanted = Requirement(line)
    assert wanted.specifier.contains(LOCK[canonicalize_name(wanted.name)]), "run: make lock"
    assert {part.operator for part in wanted.specifier} == {">="}, (
        "a lowest version for make test-minimal, and no bound above"
    )


def test_the_pins_name_no_registry_and_no_build_of_torch():
    text = (ROOT / "envs/constraints.txt").read_text()
    assert "://" not in text and "+" not in text and "--" not in text
    assert not [name for name in LOCK if name.startswith(("nvidia-", "cuda-"))]
