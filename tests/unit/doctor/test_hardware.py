"""`simformer doctor`: hardware, healthy and broken, and what to type."""

import os
from types import SimpleNamespace

import pytest

from simformer.doctor import hardware
from simformer.doctor.hardware import check_hardware, usable_cores
from tests.stubs import by_name, gpus, touch


def test_no_gpu_is_no_problem(programs, monkeypatch):
    gpus(monkeypatch)
    check = by_name(check_hardware({"fp32"}))["gpu"]
    assert check.level == "ok" and "only the CPU" in check.found
    programs.add("sbatch")
    assert "Slurm" in by_name(check_hardware({"fp32"}))["gpu"].found


def test_gpus_are_told_with_memory_and_driver(programs, monkeypatch):
    gpus(monkeypatch, ("A100", 8), ("A100", 8))
    programs.add("nvidia-smi", "580.65\n580.65")
    checks = by_name(check_hardware({"fp32"}))
    assert checks["gpu"].found == "A100 (80 GiB), A100 (80 GiB); driver 580.65, CUDA 13.0"
    assert checks["bf16"].level == "ok"


def test_a_gpu_that_torch_cannot_use_is_a_problem(programs, monkeypatch):
    programs.add("nvidia-smi", "470.1")
    gpus(monkeypatch, build=None)
    check = by_name(check_hardware({"fp32"}))["gpu"]
    assert check.level == "problem" and "built only for the CPU" in check.found
    gpus(monkeypatch, build="13.0")
    check = by_name(check_hardware({"fp32"}))["gpu"]
    assert check.level == "problem" and "470.1" in check.found and "CUDA 13.0" in check.found


def test_bf16_on_an_old_gpu_is_a_problem_only_if_the_study_uses_it(programs, monkeypatch):
    gpus(monkeypatch, ("V100", 7))
    assert by_name(check_hardware({"fp32"}))["bf16"].level == "ok"
    assert by_name(check_hardware({"fp32", "bf16"}))["bf16"].level == "problem"


@pytest.mark.parametrize(("units", "level"), [(True, "ok"), (False, "problem")])
def test_bf16_on_a_processor_without_a_gpu(programs, monkeypatch, units, level):
    gpus(monkeypatch)
    monkeypatch.setattr("simformer.machine.devices.has_bf16", lambda device: units)
    assert by_name(check_hardware({"bf16"}))["bf16"].level == level
    assert "bf16" not in by_name(check_hardware({"fp32"}))


def test_more_threads_than_cores_are_a_warning(programs, monkeypatch):
    monkeypatch.setattr(hardware, "usable_cores", lambda: 4)
    for wanted, level in (("4", "ok"), ("5", "warning"), ("", "ok")):
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
        assert by_name(check_hardware({"fp32"}))["cores"].level == level


def test_a_containers_quota_limits_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    for text, cores in (("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8)):
        assert usable_cores(touch(tmp_path / "cpu.max", text)) == cores
    assert usable_cores(tmp_path / "none") == 8


@pytest.mark.parametrize(("size", "level"), [(64 * 2**20, "warning"), (8 * 2**30, "ok")])
def test_a_containers_small_shared_memory_is_a_warning(programs, monkeypatch, size, level):
    monkeypatch.setattr(hardware.shutil, "disk_usage", lambda path: SimpleNamespace(total=size))
    assert by_name(check_hardware({"fp32"}))["/dev/shm"].level == level
