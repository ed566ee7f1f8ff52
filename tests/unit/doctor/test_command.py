"""`simformer doctor`: the command, healthy and broken, and what to type."""

import json
import sys
from pathlib import Path

import pytest

from simformer.cli import main
from simformer.doctor.check import Check, checks_text
from tests.stubs import LARGE, SCENES, gpus, touch


def test_exit_status_and_page(study, programs, as_pinned, monkeypatch, capsys):
    gpus(monkeypatch)
    for name in ("simformer", "snakemake"):
        programs.add(name)
    monkeypatch.setattr(sys, "executable", str(programs.folder / "python"))
    study(LARGE)
    assert main(["doctor"]) == 0  # a warning: the archive is to be downloaded
    page = capsys.readouterr().out
    assert "0 problems, 1 warning" in page and "-> snakemake fetch_all" in page
    assert all(len(line) <= 100 for line in page.splitlines() if len(line.split()) > 1), "but for a long path alone"
    study(SCENES | {"source": {"kind": "folder", "path": "/not/there"}})
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--json"])
    assert end.value.code == 1
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert found["data toys"]["level"] == "problem" and "/not/there" in found["data toys"]["found"]


def test_a_study_with_mistakes_is_one_problem_and_the_rest_is_checked(study, programs, capsys):
    study()
    touch(Path("config/config.yaml"), "dataset: {}\n")
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert found["study"]["level"] == "problem" and "unknown key 'dataset'" in found["study"]["found"]
    assert "cores" in found and "slurm" in found and "results disk" not in found


def test_colour_is_only_added_when_asked_for():
    checks = [Check("a", "problem", "found", "fix")]
    assert "\033" not in checks_text(checks, colour=False)
    assert "\033[31mproblem\033[0m" in checks_text(checks, colour=True)
