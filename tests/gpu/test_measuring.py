"""How the acceptance measures: times, ratios of programs in turn, and counts in a profiler's trace."""

import time

import pytest

from tests.gpu.photographs import write_photographs
from tests.gpu.profile import STEP, read_trace
from tests.gpu.report import Report
from tests.gpu.timing import Times, time_in_turn, time_steps
from tests.workloads import TINY


def event(category, name, start, seconds, **arguments):
    return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": seconds, "args": arguments}


TRACE = [
    {"ph": "M", "name": "process_name"},
    event("user_annotation", STEP, 0, 100),
    event("user_annotation", STEP, 200, 100),
    event("gpu_user_annotation", STEP, 0, 400),
    event("kernel", "matmul", 10, 20),
    event("kernel", "on another stream", 20, 20),  # overlaps by 10
    event("kernel", "late, of the second step", 310, 30),
    event("gpu_memcpy", "Memcpy HtoD (Pageable -> Device)", 50, 10, bytes=3000),
    event("gpu_memcpy", "Memcpy DtoH (Device -> Pageable)", 250, 10, bytes=50),
    event("gpu_memset", "Memset (Device)", 255, 10),  # overlaps by 5
    event("cuda_runtime", "cudaLaunchKernel", 10, 1),
    event("cuda_runtime", "cudaStreamSynchronize", 60, 5),
    event("cuda_runtime", "cudaStreamSynchronize", 251, 5),
    event("cuda_runtime", "cudaDeviceSynchronize", 350, 5),  # of the measurement, after the last step
    event("cpu_op", "aten::item", 60, 5),
]


def test_a_trace_is_counted_per_step():
    profile = read_trace(TRACE)
    assert profile.busy_seconds == pytest.approx((30 + 30 + 10 + 15) / 2 / 1e6)
    assert profile.kernels == 1.5 and profile.syncs == 1
    assert (profile.to_device_bytes, profile.to_host_bytes) == (1500, 25)


@pytest.mark.parametrize("left_out", ["user_annotation", "kernel"])
def test_a_trace_without_steps_or_kernels_is_no_profile(left_out):
    with pytest.raises(RuntimeError, match="the profiler's trace holds no"):
        read_trace([each for each in TRACE if each.get("cat") != left_out])


def test_steps_are_timed_after_the_warm_up_and_end_in_time():
    calls = []
    times = time_steps(lambda: calls.append(1), "cpu", steps=5, warmup=2, seconds=10)
    assert len(times.seconds) == 5 and len(calls) == 7
    few = time_steps(lambda: time.sleep(0.02), "cpu", steps=1000, warmup=1000, seconds=0.1)
    assert 1 <= len(few.seconds) < 10
    assert few.quartiles[0] <= few.median <= few.quartiles[1] and few.median >= 0.02


def test_programs_run_in_turn():
    calls = []
    steps = {name: lambda name=name: calls.append(name) for name in "ab"}
    found = time_in_turn(steps, "cpu", rounds=3, warmup=1, seconds=10)
    assert calls == ["a", "b"] + ["a", "b"] * 3
    assert {name: len(times.seconds) for name, times in found.items()} == {"a": 3, "b": 3}


def test_one_time_has_no_spread():
    assert Times((2.0,)).quartiles == (2.0, 2.0)


def test_a_measurement_without_time_is_left_out(tmp_path):
    report = Report(tmp_path / "report.json", seconds=5)
    assert report.attempt("long", lambda: 1, needs=100) is None
    assert report.attempt("short", lambda: 2, needs=1) == 2
    (row,) = report.content["rows"]
    assert row["passed"] is None and "left out" in row["note"]


def test_photographs_are_a_dataset(tmp_path):
    shots = write_photographs(tmp_path, TINY, 4, (48, 64))
    assert len(shots.index.train) == 3 and len(shots.index.test) == 1
    assert {(image.height, image.width) for image in shots.tags.images} == {(48, 64)}
    assert all(path.suffix == ".jpg" for path in (shots.data / "images").iterdir())
    assert shots.weak.kind == "weak" and shots.full.kind == "full" and shots.tags.kind == "images"
