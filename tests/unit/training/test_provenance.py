"""What a training took, over interruptions and processes, and which code it was."""

import subprocess

import pytest
import torch

import simformer
from simformer.training import provenance
from simformer.training.provenance import Meter, Usage, after, beside, code_version, facts

CPU = torch.device("cpu")


def test_processes_work_side_by_side_and_parts_one_after_the_other():
    one = Usage(steps=4, seconds=10.0, memory_mb=300.0, gpu_memory_mb=70.0, energy_wh=2.0)
    two = Usage(steps=4, seconds=11.0, memory_mb=200.0, gpu_memory_mb=80.0, energy_wh=3.0)
    both = beside([one, two])
    assert both == Usage(steps=4, seconds=11.0, memory_mb=300.0, gpu_memory_mb=80.0, energy_wh=5.0)
    assert after([both, one]) == Usage(steps=8, seconds=21.0, memory_mb=300.0, gpu_memory_mb=80.0, energy_wh=7.0)
    assert after([Usage(), one]) == one
    assert after([both, Usage(energy_wh=None)]).energy_wh is None


def test_an_interruption_loses_nothing_of_the_total(monkeypatch):
    clock = iter([100.0, 103.0, 103.0, 200.0, 205.0, 205.0, 206.0])
    monkeypatch.setattr(provenance.time, "monotonic", lambda: next(clock))
    first = Meter(CPU)
    first.count()
    first.update([first.own()])
    second = Meter(CPU)
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        second.count()
    total = second.update([second.own()])
    assert (total.steps, total.seconds) == (3, 8.0)
    assert second.state_dict()["seconds"] == 8.0
    assert second.seconds == 9.0
    assert total.memory_mb > 50 and total.gpu_memory_mb == 0 and total.energy_wh is None


def test_energy_is_power_times_time(monkeypatch):
    clock, powers = iter([0.0, 60.0, 120.0]), iter([100.0, 200.0])
    monkeypatch.setattr(provenance.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(provenance, "_power", lambda device: next(powers))
    meter = Meter(CPU)
    meter.sample()
    meter.sample()
    assert meter._energy == pytest.approx((100 + 200) / 60)


def test_facts_of_several_gpus(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    found = facts(Usage(steps=10, seconds=4.0, energy_wh=1.23456), ["A", "B"])
    assert found["device"] == "A" and found["gpus"] == ["A", "B"] and found["processes"] == 2
    assert (found["seconds"], found["steps_per_second"], found["energy_wh"]) == (4.0, 2.5, 1.235)
    assert found["host"] and found["slurm_job"] == "4711" and found["code"]
    alone = facts(Usage(energy_wh=None), [None])
    assert alone["device"] == "cpu" and alone["gpus"] == [] and alone["steps_per_second"] is alone["energy_wh"] is None


def test_the_code_is_a_commit_or_a_version(tmp_path):
    def git(*arguments):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *author, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    package = tmp_path / "simformer"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert code_version(package) == simformer.__version__
    git("init")
    assert code_version(package) == simformer.__version__, "a repository around an installed package"
    git("add", "."), git("commit", "-m", "one"), git("tag", "v1")
    assert code_version(package) == git("rev-parse", "HEAD")
    (package / "__init__.py").write_text("edited = True\n")
    assert code_version(package) == git("rev-parse", "HEAD") + "-dirty"
