"""Checks of Python and its packages against pyproject.toml and envs/constraints.txt."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from simformer.config.paths import CHECKOUT, pip_install
from simformer.doctor.check import Check
from simformer.errors import first_line, some

INSTALL = pip_install()
SHOWN = 4
"""Packages that are named; the rest is counted."""


def check_packages() -> Iterator[Check]:
    """Check Python, torch and torchvision with their imports, all other packages by version, and the commands."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = _numbers(project["requires-python"])
    here = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < lowest:
        found = f"{here}; at least {_dotted(lowest)} is needed"
        yield Check("python", "problem", found, f"make setup PYTHON=python{_dotted(lowest)}")
    else:
        yield Check("python", "ok", f"{here} ({sys.executable})")
    minima = {name: _numbers(rest) for name, rest in map(_name_and_rest, project["dependencies"])}
    pins = _pins(CHECKOUT / "envs/constraints.txt")
    yield _torch(minima["torch"], pins["torch"])
    yield _torchvision(minima["torchvision"], pins["torchvision"])
    yield _others({name: low for name, low in minima.items() if name not in ("torch", "torchvision")}, pins)
    yield _commands()


def installed(name: str) -> str | None:
    """Return the version of an installed package; None without it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _torch(lowest: tuple[int, ...], pin: str) -> Check:
    try:
        import torch
    except Exception as error:  # whatever a broken installation raises: ImportError, OSError, AttributeError ...
        return Check("torch", "problem", f"cannot be imported ({first_line(error)})", INSTALL)
    return _compare("torch", str(torch.__version__), lowest, pin)


def _torchvision(lowest: tuple[int, ...], pin: str) -> Check:
    try:
        from simformer.models.torchvision_ops import torchvision
    except Exception as error:
        return Check("torchvision", "problem", f"cannot be imported ({first_line(error)})", INSTALL)
    return _compare("torchvision", torchvision.__version__, lowest, pin)


def _compare(name: str, found: str, lowest: tuple[int, ...], pin: str) -> Check:
    if _numbers(found) < lowest:
        return Check(name, "problem", f"{found}; at least {_dotted(lowest)} is needed", INSTALL)
    if found.partition("+")[0] != pin:
        return Check(name, "warning", f"{found}; the tests ran with {pin}", f"to have the same: {INSTALL}")
    return Check(name, "ok", f"{found}, the version of the tests")


def _others(minima: dict[str, tuple[int, ...]], pins: dict[str, str]) -> Check:
    found = {name: installed(name) for name in minima}
    missing = [name for name, there in found.items() if there is None]
    old = [f"{n} {v} (needs {_dotted(minima[n])})" for n, v in found.items() if v and _numbers(v) < minima[n]]
    other = [f"{n} {v} (tests: {pins[n]})" for n, v in found.items() if v and n in pins and v != pins[n]]
    if missing or old:
        return Check("packages", "problem", f"missing or too old: {some([*missing, *old], SHOWN)}", INSTALL)
    if other:
        return Check("packages", "warning", f"other versions: {some(other, SHOWN)}", f"to have the same: {INSTALL}")
    return Check("packages", "ok", f"{len(found)} others, in the versions of the tests")


def _commands() -> Check:
    """Rules call `simformer`: both commands must be found, and be those of this Python."""
    here = Path(sys.executable).parent
    found = {name: shutil.which(name) for name in ("simformer", "snakemake")}
    strangers = [path for path in found.values() if path and not (here / Path(path).name).exists()]
    fix = f"export PATH={shlex.quote(str(here))}:$PATH"
    if missing := [name for name, path in found.items() if path is None]:
        return Check("commands", "problem", f"not on PATH: {', '.join(missing)}; rules call them", f"{INSTALL}; {fix}")
    if strangers:
        return Check("commands", "warning", f"{', '.join(strangers)}: not from the environment {here}", fix)
    return Check("commands", "ok", f"simformer and snakemake on PATH ({Path(str(found['simformer'])).parent})")


def _pins(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name.lower(): pin for name, _, pin in (line.partition("==") for line in lines) if pin}


def _name_and_rest(requirement: str) -> tuple[str, str]:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return name[0].lower(), requirement[name.end() :]


def _numbers(text: str) -> tuple[int, ...]:
    """Return the first dotted number of a version or a requirement: '>=2.6' -> (2, 6)."""
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
