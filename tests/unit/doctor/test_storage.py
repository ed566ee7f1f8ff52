"""`simformer doctor`: disks, healthy and broken, and what to type."""

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from simformer.doctor import storage
from simformer.doctor.storage import check_storage
from tests.stubs import LARGE, by_name, touch


@pytest.mark.parametrize(("free", "level"), [(9e9, "problem"), (10.5e9, "warning"), (20e9, "ok")])
def test_free_space_is_compared_with_what_is_needed(study, monkeypatch, free, level):
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    checks = by_name(check_storage(*study(LARGE)))
    assert checks["data disk"].level == checks["results disk"].level == level
    assert "about 10.2 GB needed" in checks["data disk"].found  # 10 GB of archive, 166 MB of one model


def test_on_two_disks_each_is_compared_with_its_own_need(study, monkeypatch):
    monkeypatch.setattr(storage, "_device", lambda folder: str(folder))
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    checks = by_name(check_storage(*study(LARGE)))
    assert (checks["data disk"].level, checks["results disk"].level) == ("problem", "ok")


def test_prepared_data_need_no_more_space(study, here, monkeypatch):
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    touch(here / "data/toys/index.json")
    assert by_name(check_storage(*study(LARGE)))["data disk"].level == "ok"


def test_files_are_tried_out_and_nothing_is_left_behind(study, here):
    arguments = study(results="not/yet/there")
    before = sorted(here.rglob("*"))
    checks = by_name(check_storage(*arguments))
    assert checks["results files"].level == checks["data files"].level == "ok"
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    ("module", "function", "words"),
    [(os, "replace", "rename onto another file"), (fcntl, "flock", "lock a file"), (Path, "write_text", "write")],
)
def test_a_file_system_that_cannot_is_a_problem(study, monkeypatch, module, function, words):
    def refuse(*arguments, **keywords):
        raise OSError(95, "Operation not supported")

    arguments = study()
    monkeypatch.setattr(module, function, refuse)
    check = by_name(check_storage(*arguments))["results files"]
    assert check.level == "problem" and f"cannot {words} (Operation not supported)" in check.found
