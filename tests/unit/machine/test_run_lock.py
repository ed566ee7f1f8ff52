"""The lock of a run: exclusive, waited for, and gone with its process."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from simformer.errors import UserError
from simformer.machine import run_lock as module
from simformer.machine.run_lock import run_lock
from simformer.machine.stop_signal import Stop, stop_flag, stops_delayed, stops_raise, time_limit

HOLDER = """
import sys, time
from pathlib import Path
from simformer.machine.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path, monkeypatch):
    """Hold the lock of `tmp_path/state` in another process; ends when its standard input is closed."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "state")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_free_lock_is_taken_at_once_and_leaves_nothing(tmp_path):
    with run_lock(tmp_path / "state") as waited:
        assert not waited
        assert str(os.getpid()) in (tmp_path / "state.lock").read_text()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", ["done", "killed"])
def test_the_second_waits_for_the_first(hold, tmp_path, capsys, end):
    entered = threading.Event()

    def second():
        with run_lock(tmp_path / "state") as waited:
            assert waited
            entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.wait(0.3)
    if end == "done":
        hold.stdin.close()
    else:
        hold.send_signal(signal.SIGKILL)
    assert entered.wait(10)
    thread.join()
    assert capsys.readouterr().err.count(f"waiting: this run is being trained by process {hold.pid} on ") == 1


def test_of_many_only_one_is_inside(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    inside, most = [], []

    def one():
        with run_lock(tmp_path / "state"):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 20


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, capsys):
    def refuse(stream, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with run_lock(tmp_path / "state") as waited:
        assert not waited
    assert "no file locks here (No locks available)" in capsys.readouterr().err


def test_a_signal_while_the_file_is_made_leaves_none(tmp_path, monkeypatch):
    """Slow file systems need long for it; the signal comes before the lock is known."""
    make = os.open

    def interrupted(path, *arguments, **options):
        made = make(path, *arguments, **options)
        if str(path).endswith("state.lock"):
            os.kill(os.getpid(), signal.SIGTERM)
        return made

    monkeypatch.setattr(os, "open", interrupted)

    def hold():
        with run_lock(tmp_path / "state"):
            time.sleep(5)

    with pytest.raises(Stop), stops_raise(until_exit=False) as stops:
        stops.call(hold)
    assert not list(tmp_path.iterdir())


AMID_AN_IMPORT = """
import sys
from pathlib import Path
from simformer.machine import stop_signal
from simformer.machine.run_lock import run_lock
stop_signal.LONGEST_DELAY = 0.1
def hold():
    with run_lock(Path(sys.argv[1])):
        import slow_library
with stop_signal.stops_raise(until_exit=True) as stops:
    stops.call(hold)
"""


def test_a_process_that_ends_amid_an_import_leaves_none(tmp_path):
    (tmp_path / "slow_library.py").write_text("import os, signal, time\nos.kill(os.getpid(), 15)\ntime.sleep(20)\n")
    command = [sys.executable, "-c", AMID_AN_IMPORT, str(tmp_path / "state")]
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=15)
    assert done.returncode == 143 and done.stderr == "interrupted: SIGTERM; type the same command again\n"
    assert not (tmp_path / "state.lock").exists()


@pytest.mark.parametrize("begun", [stop_flag, lambda: time_limit(60, UserError("late"))], ids=["training", "waiting"])
def test_a_signal_that_was_delayed_is_not_lost_where_its_timer_is_taken(begun):
    def interrupted():
        with stops_delayed():
            os.kill(os.getpid(), signal.SIGINT)
        with begun() as flag:
            if flag is None:
                time.sleep(1)
            else:
                with flag.while_waiting():
                    time.sleep(1)

    with pytest.raises(Stop), stops_raise(until_exit=False) as stops:
        stops.call(interrupted)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_signal_while_the_user_is_told_raises_nothing(moment):
    """A slow library may have held the first one back for so long that the next one comes while the first is told."""
    reached = []

    def stopped():
        reached.append("within")
        os.kill(os.getpid(), signal.SIGTERM)

    with stops_raise(until_exit=False) as stops:
        if moment == "before":
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stop):
            stops.call(stopped)
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("told")
    assert reached == {"before": ["told"], "after": ["within", "told"]}[moment]


def test_whether_the_holder_runs_is_asked_without_proc():
    """macOS has none."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert module._runs(str(os.getpid())) and module._runs("1")
    assert not module._runs(str(ended.pid)) and not module._runs("x") and not module._runs("9" * 30)
