"""No wait for ever: what fails beside a training ends it with its cause, and signals end it at any moment."""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from simformer.data import audit
from simformer.data.audit import _inspect_part as inspect_part
from simformer.data.workers import Loaders, explain
from simformer.study.last_words import ON_REQUEST, was_interrupted
from tests.faults.harness import PROGRESS, refused

SHM_64 = "mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "


def lines(text) -> list[str]:
    """Return the lines of stderr that are no progress bar."""
    return [line for line in text.replace("\r", "\n").splitlines() if line.strip() and not PROGRESS.search(line)]


def slowly(*values) -> list:
    """Return parameters whose cases belong to the slow tests."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.fixture
def arguments(train_arguments, new_config, tmp_path):
    """Arguments of a training, by its changes of the configuration."""

    def make(*changes, **options) -> list[str]:
        config = new_config({"optim": {"steps": 4000}}, *changes)
        return train_arguments(config, tmp_path, **{"device": "cpu", "checkpoint_every": 100000} | options)

    return make


@pytest.fixture
def start(tmp_path):
    """Start `simformer` as a process group of its own, behind a shell command; what is left of it is killed."""
    processes = []

    def run(arguments, shell="exec ", prefix=()) -> subprocess.Popen:
        words = [*prefix, "sh", "-c", f'{shell} "$@"', "sh", sys.executable, "-m", "simformer.cli", *arguments]
        process = subprocess.Popen(words, start_new_session=True, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def saved_step(folder) -> int:
    """Return the step of a saved state, 0 without one."""
    path = folder / "state/state.pt"
    return torch.load(path, weights_only=True)["step"] if path.exists() else 0


def small_shared_memory() -> bool:
    """Whether a process here may have a /dev/shm of its own, as a container has."""
    return shutil.which("unshare") and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not small_shared_memory(), reason="only root can make a small /dev/shm")
def test_too_little_shared_memory(start, arguments):
    """Docker's default: 64 MB of /dev/shm."""
    big = {"augment": {"crop": 640, "short_edges": [640], "max_long_edge": 1280}}
    process = start(arguments(big, workers=7), SHM_64, ("unshare", "-m"))
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1 and len(lines(errors)) == 1, errors
    (line,) = lines(errors)
    assert line.startswith("error: loading processes: no shared memory is left (/dev/shm has 64 MiB)")
    assert "--shm-size=8g" in line and "type the same command to continue" in line


def _tell_late(loaders):
    time.sleep(0.2)
    loaders._tell.send("Too many open files")
    os._exit(1)


def test_a_loading_process_that_is_about_to_tell_its_cause():
    """Its connection breaks first, which the training notices at once."""
    loaders = Loaders()
    process = multiprocessing.get_context("fork").Process(target=_tell_late, args=(loaders,))
    process.start()
    loaders.processes = [process]
    assert "too many open files" in loaders._cause(ConnectionResetError())
    process.join()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [32, 40, 48, 56, 64])
def test_too_few_open_files(start, arguments, limit):
    process = start(arguments(workers=2, stop_after=30), f"ulimit -n {limit}; exec ")
    _, errors = process.communicate(timeout=300)
    if process.returncode == 0:
        assert limit > 40
        return
    (line,) = lines(errors)
    assert f"too many open files, the limit is {limit}; type `ulimit -n 65536` before the command" in line


def wait_for(condition, process, seconds=300):
    """Wait until something holds of a training that goes on; returns it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def loaders(process) -> list[int]:
    """Return the loading processes of a training."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if "pt_data" in Path(f"/proc/{pid}/comm").read_text()]


@pytest.fixture
def training(start, arguments, tmp_path):
    """A training with two loading processes that has made some steps."""
    process = start(arguments(workers=2, checkpoint_every=5))
    wait_for(lambda: saved_step(tmp_path) >= 5, process)
    assert len(loaders(process)) == 2
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, *slowly(signal.SIGBUS, signal.SIGSEGV)])
def test_a_loading_process_that_dies(training, tmp_path, number):
    """As when the kernel is out of memory: one line, and nothing of what was done is lost."""
    before = saved_step(tmp_path)
    os.kill(loaders(training)[0], number)
    _, errors = training.communicate(timeout=300)
    assert training.returncode == 1
    told = [line for line in lines(errors) if line.startswith("error: ")]
    causes = {signal.SIGKILL: "killed (signal 9)", signal.SIGBUS: "--shm-size", signal.SIGSEGV: "ended with signal 11"}
    assert len(told) == 1 and causes[number] in told[0] and "type the same command to continue" in told[0]
    assert "Traceback" not in errors and saved_step(tmp_path) >= before


@pytest.mark.parametrize("number", [signal.SIGTERM, *slowly(signal.SIGINT)])
def test_a_signal_ends_a_training_that_waits_for_a_batch(training, tmp_path, number):
    """All loading processes stand still: no batch comes, and they do not end by themselves."""
    for pid in loaders(training):
        os.kill(pid, signal.SIGSTOP)
    still = saved_step(tmp_path)
    wait_for(lambda: waits(training), training)
    began = time.monotonic()
    os.kill(training.pid, number)
    _, errors = training.communicate(timeout=30)
    assert time.monotonic() - began < 15 and training.returncode == 128 + number
    (line,) = lines(errors)
    step = int(
        re.fullmatch(r"interrupted: stopped on a signal after step (\d+); run the same command to continue", line)[1]
    )
    assert saved_step(tmp_path) == step >= still


def waits(process) -> bool:
    """Whether a process has used no processor time for a while."""
    ticks = []
    for _ in range(2):
        ticks.append(Path(f"/proc/{process.pid}/stat").read_text().split()[13:15])
        time.sleep(0.5)
    return ticks[0] == ticks[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, *slowly(signal.SIGINT)])
@pytest.mark.parametrize("seconds", [0.7, *slowly(0.1, 0.4, 1.1, 1.5, 2.2, 3.7)])
def test_a_signal_at_any_moment(start, arguments, tmp_path, seconds, number):
    """While modules are imported, weights read, the model built, the loading processes started.

    Before the command handles signals, Python is starting, however long that takes on a busy machine.
    """
    process = start(arguments(workers=1))
    wait_for(lambda: handles(process, signal.SIGTERM), process)
    time.sleep(seconds)
    os.killpg(process.pid, number)
    began = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert len(lines(errors)) == 1, errors
    (line,) = lines(errors)
    assert process.returncode == 128 + number and line.startswith("interrupted: ")
    assert re.search(r"type the same command again|run the same command to continue", line)
    assert not (tmp_path / "model.safetensors").exists() and not (tmp_path / "state.lock").exists()


def handles(process, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"^SigCgt:\s*(\w+)", status, flags=re.M)[1], 16) >> (number - 1) & 1)


@pytest.mark.slow
def test_a_signal_ends_a_process_that_waits_for_another(training, start, arguments, tmp_path):
    os.kill(training.pid, signal.SIGSTOP)
    second = start(arguments())
    said = second.stderr.readline()
    assert f"waiting: this run is being trained by process {training.pid} on " in said and " since 20" in said
    second.send_signal(signal.SIGTERM)
    _, errors = second.communicate(timeout=10)
    assert second.returncode == 143 and lines(errors) == ["interrupted: SIGTERM; type the same command again"]
    os.kill(training.pid, signal.SIGCONT)
    assert training.poll() is None and (tmp_path / "state.lock").exists()


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)", 1, "--shm-size"),
        ("unable to open shared memory object </torch_1>: Too many open files (24)", 1, "ulimit -n"),
        ("received 0 items of ancdata", 1, "ulimit -n"),
        ("[Errno 24] Too many open files", 1, "ulimit -n"),
        ("", -signal.SIGBUS, "--shm-size"),
        ("", -signal.SIGKILL, "out of memory"),
        ("", -signal.SIGSEGV, "signal 11"),
        ("division by zero", 1, "(division by zero)"),
        ("", 3, "(exit status 3)"),
    ],
)
def test_causes_are_told_in_one_line(text, code, words):
    line = explain(text, code)
    assert words in line and "\n" not in line and "type the same command to continue" in line


def die_at(name, root, listed):
    """Inspect images; the process that is to inspect one of them is killed."""
    if name in [each.name for each in listed]:
        os.kill(os.getpid(), signal.SIGKILL)
    return inspect_part(root, listed)


def test_a_killed_process_of_the_audit(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(audit, "_inspect_part", partial(die_at, "test0"))
    new = ["--index", tmp_path / "new.json", "--report", tmp_path / "report.json", "--workers", 2]
    refused(["audit", "--data", data, *new], tmp_path, capsys, f"{data}: checking", "out of memory", "fewer --workers")


FAILED = "Error in rule train:\n    jobid: 0\n    log: {} (check log file(s) for error details)\n"


@pytest.mark.parametrize(
    ("log", "jobs", "answer"),
    [
        (ON_REQUEST, [], True),
        ("done", [], False),
        (ON_REQUEST + "\n" + FAILED.format("a.log"), ["10%|\rinterrupted: SIGINT; type the same command\n"], True),
        (FAILED.format("a.log"), ["interrupted: stopped on a signal after step 5; run the same command\n\n"], True),
        (FAILED.format("a.log"), ["error: out of memory\n"], False),
        (FAILED.format("a.log") + FAILED.format("b.log"), ["interrupted: SIGTERM; ...\n", "error: no file\n"], False),
        (ON_REQUEST + "\n" + FAILED.format("gone.log"), [], False),
    ],
)
def test_snakemake_tells_an_interruption_from_a_failure(tmp_path, monkeypatch, log, jobs, answer):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "snakemake.log").write_text(log)
    for name, text in zip(("a.log", "b.log"), jobs, strict=False):
        (tmp_path / name).write_text(text)
    assert was_interrupted([tmp_path / "snakemake.log"]) is answer
