"""What the acceptance does on a card only, run without one: the CPU under another name, and stubs for torch.cuda."""

import time
from types import SimpleNamespace

import pytest
import torch

from tests.gpu import loading, numbers, peers, speed
from tests.gpu.report import Context, Report
from tests.gpu.sizes import TINY

pytestmark = pytest.mark.slow

CARD = "cpu:0"
"""A device that is not 'cpu' by name, and works."""
PER_IMAGE = 2**30
"""Bytes that the stand-in says an image takes."""


class Event:
    """A mark in the queue of the stand-in, which has done everything at once."""

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self, stream):
        self.at = time.perf_counter()

    def elapsed_time(self, other):
        return 1000 * (other.at - self.at)


@pytest.fixture
def card(monkeypatch, tmp_path):
    """Run a part on the stand-in; returns its report."""
    memory = {"images": 0, "limit": 1.0}
    stubs = {
        "synchronize": lambda device=None: None,
        "Event": Event,
        "current_stream": lambda device=None: None,
        "reset_peak_memory_stats": lambda device=None: None,
        "max_memory_allocated": lambda device=None: PER_IMAGE * memory["images"],
        "empty_cache": lambda: None,
        "get_device_properties": lambda device: SimpleNamespace(total_memory=80 * 2**30),
        "set_per_process_memory_fraction": lambda share, device: memory.update(limit=share),
        "get_sync_debug_mode": lambda: 0,
        "set_sync_debug_mode": lambda mode: None,
    }
    for name, stub in stubs.items():
        monkeypatch.setattr(torch.cuda, name, stub)
    build = speed.workloads.build

    def counted(case, *arguments, **options):
        memory["images"] = case.images
        if PER_IMAGE * case.images > memory["limit"] * 80 * 2**30:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return build(case, *arguments, **options)

    monkeypatch.setattr(speed.workloads, "build", counted)

    def run(part) -> Report:
        report = Report(tmp_path / "report.json", 400)
        part.run(Context(CARD, TINY, tmp_path / "work", cards=1, bf16=True), report)
        assert not [row for row in report.content["rows"] if row["passed"] is False]
        return report

    return run


def names(report):
    return {row["name"]: row for row in report.content["rows"]}


@pytest.mark.parametrize("part", [numbers, loading, peers], ids=["numbers", "loading", "peers"])
def test_a_part(card, part):
    wishes = [row for row in card(part).content["rows"] if "reached" in row]
    assert len(wishes) == {numbers: 0, loading: 1, peers: 2}[part]


def test_speed(card, monkeypatch):
    monkeypatch.setattr(speed, "baselines", lambda *_: [])  # nothing in them is done on a card only
    report = card(speed)
    largest = names(report)["tiny, SimFormer's largest batch within 24 GiB"]
    assert 18 <= largest["value"] <= 24
    steps = report.content["steps"]
    assert {step["mode"] for step in steps if step["work"] == "simformer"} == {"fp32", "tf32", "bf16"}
    assert all(step["peak_bytes"] for step in steps)
    for step in steps:
        assert "the profiler failed (RuntimeError: the profiler's trace holds no kernel" in step["why"]["kernels"]
    assert [step["mode"] for step in steps if step["work"] == "simformer" and step["as_trained"]] == ["bf16"]
