"""Training killed from outside: the command line saves what it can, and the same command continues."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from simformer.errors import Interrupted
from simformer.training_step import TrainingStep

STEPS, EVERY = 32, 4


@pytest.fixture(scope="module")
def undisturbed(masked, new_config, run_training, tmp_path_factory):
    """A training that nothing interrupts: its configuration and outputs."""
    config, folder = new_config({"optim": {"steps": STEPS}}), tmp_path_factory.mktemp("undisturbed")
    return SimpleNamespace(config=config, outputs=run_training(config, masked, folder, log_every=20))


@pytest.fixture
def start(train_arguments, undisturbed, tmp_path):
    """Start the same training as a process group of its own, and wait for its first saved state."""
    processes = []

    def run(**options: int) -> subprocess.Popen:
        options = {"device": "cpu", "checkpoint_every": EVERY} | options
        command = [sys.executable, "-m", "simformer.cli", *train_arguments(undisturbed.config, tmp_path, **options)]
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        deadline = time.monotonic() + 60
        while not (tmp_path / "state" / "state.pt").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def assert_continues(undisturbed, masked, run_training, folder):
    """Finish the training in this process; the result is that of the undisturbed one."""
    assert not (folder / "model.safetensors").exists()
    assert not (folder / "log.csv").exists()
    outputs = run_training(undisturbed.config, masked, folder, log_every=20)
    assert outputs.model.read_bytes() == undisturbed.outputs.model.read_bytes()
    logs = [path.read_text().splitlines() for path in (outputs.log, undisturbed.outputs.log)]
    without_clock = [[line.rpartition(",")[0] for line in log] for log in logs]
    assert without_clock[0] == without_clock[1]
    assert len(without_clock[0]) == 3


def stop(process, number, state) -> None:
    """Send a signal to all processes of the training; it ends with its last step saved."""
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number, errors
    step = re.search(r"interrupted: stopped on a signal after step (\d+)", errors)
    assert step, errors
    assert torch.load(state / "state.pt", weights_only=True)["step"] == int(step[1])
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_stop_signal_to_all_processes_saves_the_state(start, undisturbed, masked, run_training, tmp_path):
    stop(start(workers=1), signal.SIGTERM, tmp_path / "state")
    assert_continues(undisturbed, masked, run_training, tmp_path)


@pytest.mark.slow
def test_ctrl_c_saves_the_state_of_the_last_step(start, tmp_path):
    stop(start(workers=1), signal.SIGINT, tmp_path / "state")
    assert not (tmp_path / "model.safetensors").exists()


def test_a_signal_amid_a_step_waits_for_its_end(masked, new_config, run_training, tmp_path, monkeypatch):
    backward = TrainingStep.backward

    def stopped(self, groups, step):
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return backward(self, groups, step)

    monkeypatch.setattr(TrainingStep, "backward", stopped)
    with pytest.raises(Interrupted, match="after step 2;"):
        run_training(new_config({"optim": {"steps": 4}}), masked, tmp_path)
    assert torch.load(tmp_path / "state" / "state.pt", weights_only=True)["step"] == 2


@pytest.mark.slow
def test_a_second_process_waits_for_the_first_and_has_nothing_to_do(start, undisturbed, tmp_path):
    first = start()
    os.kill(first.pid, signal.SIGSTOP)
    second = start()
    said = second.stderr.readline()
    os.kill(first.pid, signal.SIGCONT)
    assert f"waiting: this run is being trained by process {first.pid} on " in said
    assert first.wait(timeout=120) == 0
    written = (tmp_path / "model.safetensors").stat().st_mtime_ns
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert "the other process has finished this run" in errors
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == written
    assert (tmp_path / "model.safetensors").read_bytes() == undisturbed.outputs.model.read_bytes()
    assert not (tmp_path / "state.lock").exists()


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_no_more_than_the_steps_since_the_last_state(
    start, undisturbed, masked, run_training, tmp_path
):
    process = start()
    time.sleep(random.uniform(0, 0.3))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert_continues(undisturbed, masked, run_training, tmp_path)
