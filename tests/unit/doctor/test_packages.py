"""`simformer doctor`: packages, healthy and broken, and what to type."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from simformer.doctor import packages
from simformer.doctor.packages import check_packages
from tests.stubs import by_name, touch

ROOT = Path(__file__).resolve().parents[3]
PINS = packages._pins(ROOT / "envs/constraints.txt")


def test_the_versions_of_the_tests_are_fine(as_pinned):
    checks = by_name(check_packages())
    assert {checks[name].level for name in ("python", "torch", "torchvision", "packages")} == {"ok"}


def test_other_versions_are_a_warning_and_old_ones_a_problem(as_pinned, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    as_pinned["pandas"] = "2.9.0"
    checks = by_name(check_packages())
    assert checks["torch"].level == "warning" and PINS["torch"] in checks["torch"].found
    assert checks["packages"].level == "warning" and "pandas 2.9.0" in checks["packages"].found
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    as_pinned["pandas"] = "2.1.0"
    checks = by_name(check_packages())
    assert checks["torch"].level == "problem" and "2.6" in checks["torch"].found
    assert checks["packages"].level == "problem" and "pandas 2.1.0 (needs 2.2)" in checks["packages"].found


def test_a_missing_package_is_named(as_pinned):
    del as_pinned["h5py"]
    check = by_name(check_packages())["packages"]
    assert check.level == "problem" and "h5py" in check.found and "pip install" in check.fix


def test_an_old_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    check = by_name(check_packages())["python"]
    assert (check.level, check.found) == ("problem", "3.10.4; at least 3.11 is needed")


def test_the_commands_that_rules_call_must_be_on_the_path_and_of_this_python(programs, monkeypatch, tmp_path):
    check = by_name(check_packages())["commands"]
    assert check.level == "problem" and "simformer, snakemake" in check.found
    for name in ("simformer", "snakemake"):
        programs.add(name)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere/python"))
    check = by_name(check_packages())["commands"]
    assert check.level == "warning" and f"export PATH={tmp_path / 'elsewhere'}:$PATH" in check.fix
    monkeypatch.setattr(sys, "executable", str(programs.folder / "python"))
    assert by_name(check_packages())["commands"].level == "ok"


def test_without_a_working_torch_all_other_checks_are_made(tmp_path):
    broken = touch(tmp_path / "torch/__init__.py", "raise OSError('libcudart.so.13: cannot open shared object file')")
    path = os.pathsep.join([str(broken.parents[1]), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "simformer.cli", "doctor", "--json", "--study", "config/demo.yaml"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["torch"]["level"] == checks["torchvision"]["level"] == "problem"
    assert "libcudart.so.13" in checks["torch"]["found"]
    assert {"study", "gpu", "cores", "results disk", "data scenes", "slurm"} <= set(checks)
