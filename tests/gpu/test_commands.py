"""Commands in forks: their exit status, their output, and what happens where a fork cannot use the card."""

import signal

import pytest
import torch

from tests.gpu.commands import determined, end, fork, kill, last_lines, run, start
from tests.gpu.report import ROOT


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(RuntimeError, match=r"simformer audit: exit status 1: error: .*nothing-here"):
        run(
            ["audit", "--data", "nothing-here", *("--index", "i", "--report", "r", "--expect", "{}")],
            tmp_path / "log",
            60,
        )


def test_what_breaks_in_a_fork_does_not_come_back(tmp_path):
    assert end(fork(lambda: 1 // 0, tmp_path / "log"), 60) == 70
    assert "ZeroDivisionError" in last_lines(tmp_path / "log")


def test_a_fork_that_takes_too_long_is_killed(tmp_path):
    assert end(fork(signal.pause, tmp_path / "log"), 0.1) is None
    assert kill(fork(signal.pause, tmp_path / "log")) == -signal.SIGKILL


@pytest.mark.slow
def test_a_command_is_started_anew_where_a_fork_cannot_use_the_card(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert end(start(["--version"], tmp_path / "log", determined), 60) == 0
    assert last_lines(tmp_path / "log")[0].isdigit()
