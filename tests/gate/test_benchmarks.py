"""The programs that measure a training step still run: each once, at tiny size."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("program", ["optimisations", "parts", pytest.param("steps", marks=pytest.mark.slow)])
def test_a_benchmark_of_steps_runs(program):
    command = [sys.executable, "-m", f"tests.benchmarks.{program}", "--size", "tiny", "--steps", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# ")  # the page


@pytest.mark.slow
def test_the_benchmark_of_growth_runs(tmp_path):
    command = [sys.executable, "-m", "tests.benchmarks.growth", "--size", "tiny", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["growth.json", "growth.md", "growth.png"]
