"""Machines as `simformer doctor` finds them."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from simformer.doctor import packages
from simformer.machine import devices
from simformer.models.torchvision_ops import torchvision
from simformer.study.catalogue import Catalogue
from simformer.study.plan import make_plan
from tests.stubs import SCENES, touch

ROOT = Path(__file__).resolve().parents[3]
PINS = packages._pins(ROOT / "envs/constraints.txt")


@pytest.fixture(autouse=True)
def roomy_machine(monkeypatch):
    """A machine with free disks, 8 GB of shared memory, four cores and bf16, whichever machine runs the tests."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=8 * 2**30, free=1e12))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)), raising=False)
    monkeypatch.setattr(devices, "has_bf16", lambda device: True)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def study(here):
    """Factory: a catalogue of one dataset in the working directory, and its plan."""

    def make(dataset: dict = SCENES, methods: Sequence[str] = ("weak",), **keys):
        touch(here / "config/datasets/toys.yaml", yaml.safe_dump(dataset))
        touch(here / "config/methods/weak.yaml", yaml.safe_dump({"label": "W"}))
        touch(here / "config/experiments/one.yaml", yaml.safe_dump({"title": "1", "methods": [*methods]}))
        content = {"datasets": {"toys": {"splits": {1: {"novel": ["sea"]}}}}, "experiments": ["one"]} | keys
        touch(here / "config/config.yaml", yaml.safe_dump(content))
        catalogue = Catalogue(content, "config/config.yaml", Path("config"))
        return catalogue, make_plan(catalogue)

    return make


@pytest.fixture
def as_pinned(monkeypatch):
    """Packages and torch have the versions of the constraints file."""
    versions = dict(PINS)
    monkeypatch.setattr(packages, "installed", versions.get)
    monkeypatch.setattr(torch, "__version__", f"{PINS['torch']}+cu999")
    monkeypatch.setattr(torchvision, "__version__", PINS["torchvision"])
    return versions
