"""Choice of the device: concurrent commands get different GPUs. There is none here; their number is made up."""

import os
import select
import signal
import subprocess
import sys

import pytest
import torch

from simformer.errors import UserError
from simformer.machine import devices
from simformer.machine.devices import choose_device, lease
from simformer.machine.launch import launch, should_launch
from tests.pipeline import ROOT

LEASE = """
import sys, torch
torch.cuda.device_count = lambda: 2
from simformer.machine.devices import choose_device
print(choose_device("auto"), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No lease of other commands, no variable of the surroundings, and none of this test left when it ends."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "_LEASES", [])
    yield
    for file in devices._LEASES:
        file.close()


@pytest.fixture
def gpus(monkeypatch):
    """Make up a number of visible GPUs."""
    return lambda count: monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.fixture
def command(tmp_path):
    """Start a process that chooses its device and keeps it until its input ends."""
    running = []

    def start() -> subprocess.Popen:
        env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        running.append(subprocess.Popen([sys.executable, "-c", LEASE], env=env, text=True, **pipes))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def line(stream) -> str:
    assert select.select([stream], [], [], 60)[0], "nothing came"
    return stream.readline().strip()


@pytest.mark.slow
def test_concurrent_commands_get_different_gpus_and_a_killed_one_frees_its_own(command):
    first, second = command(), command()
    found = {line(first.stdout): first, line(second.stdout): second}
    assert set(found) == {"cuda:0", "cuda:1"}
    third = command()
    assert "waiting for a GPU: 1 needed, 0 of 2 not used by other simformer commands" in line(third.stderr)
    found["cuda:1"].send_signal(signal.SIGKILL)
    assert line(third.stdout) == "cuda:1"


def test_without_a_gpu_the_cpu_is_chosen_but_not_for_cuda(gpus):
    gpus(0)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="--device cuda: PyTorch finds 0 GPU"):
        choose_device("cuda")


@pytest.fixture
def apple(monkeypatch):
    """Make up a GPU of Apple under a version of macOS."""

    def make(version: int) -> torch.device:
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
        monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, minor: version >= major)
        return torch.device("mps")

    return make


def test_auto_takes_cuda_before_mps_before_the_cpu(gpus, apple):
    gpus(0)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(UserError, match="--device mps: PyTorch finds no GPU of Apple here; type --device auto"):
        choose_device("mps")
    apple(14)
    assert choose_device("auto") == choose_device("mps") == torch.device("mps")
    assert choose_device("cpu") == torch.device("cpu")
    gpus(1)
    assert choose_device("auto") == torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("version", "precision", "refused"),
    [(14, "bf16", False), (13, "bf16", True), (14, "fp16", True), (13, "fp32", False)],
)
def test_precisions_of_mps(apple, version, precision, refused):
    device = apple(version)
    if refused:
        with pytest.raises(UserError, match=rf"optim.precision: {precision}, but Apple GPU .*precision: fp32"):
            devices.set_precision(precision, device)
    else:
        devices.set_precision(precision, device)


def test_what_devices_are_called_and_how_wide_their_sums_are():
    assert devices.gpu_name(torch.device("cpu")) is None
    assert devices.gpu_name(torch.device("mps")) == "Apple GPU (MPS)"
    assert devices.sum_type(torch.device("mps")) == torch.float32, "MPS has no double precision"
    assert {devices.sum_type(torch.device(name)) for name in ("cpu", "cuda")} == {torch.float64}


def test_a_named_gpu_is_taken_without_a_lease(gpus, tmp_path):
    gpus(2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cpu") == torch.device("cpu")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="finds 2 GPU"):
        choose_device("cuda:2")
    with pytest.raises(UserError, match="--device gpu0: expected auto, cpu, mps, cuda or cuda:N"):
        choose_device("gpu0")


def test_processes_of_torchrun_take_the_gpu_of_their_number(gpus, monkeypatch, tmp_path):
    gpus(2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 1)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match="finds 2 GPU"):
        choose_device("auto")


def test_candidates_are_the_visible_gpus_and_leases_bear_their_names(gpus, monkeypatch, tmp_path):
    gpus(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    assert [lease(1), lease(1)] == [[0], [1]]
    locks = {path.name for path in tmp_path.rglob("gpu*.lock")}
    assert locks == {"gpu5.lock", "gpu3.lock"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,7")
    assert lease(1) == [1], "GPU 3 is taken, whatever its place in the list"
    with pytest.raises(UserError, match="3 GPUs are asked for, but 2 visible"):
        lease(3)


def test_slurm_jobs_number_their_gpus_from_zero_and_do_not_compete(gpus, monkeypatch):
    gpus(1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for job in ("1", "2"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        assert lease(1) == [0]


def test_several_gpus_are_leased_together_or_not_at_all(gpus, monkeypatch):
    gpus(3)
    assert lease(1) == [0]
    naps = []

    def another_command(seconds):
        naps.append(seconds)
        assert lease(2) == [1, 2], "the one that waits holds none"
        while devices._LEASES:
            devices._LEASES.pop().close()

    monkeypatch.setattr(devices.time, "sleep", another_command)
    assert lease(3) == [0, 1, 2] and len(naps) == 1


def test_one_process_per_gpu_is_started_where_there_is_a_gpu(gpus, monkeypatch):
    gpus(4)
    assert should_launch(2, "auto") and should_launch(4, "cuda")
    assert not should_launch(1, "auto") and not should_launch(0, "auto") and not should_launch(2, "cpu")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert not should_launch(2, "auto")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    with pytest.raises(UserError, match="8 GPUs are asked for, but 4 visible; type --gpus 4"):
        launch(8, [])
    gpus(0)
    assert not should_launch(2, "auto")
