"""Slurm's queue and logs, and the profile that Snakemake would read."""

import time

import pytest

from simformer.machine import slurm
from tests.stubs import touch

CELL = ("toys", "split1", "weak", 0)


def test_without_slurm_the_queue_is_empty(programs, here):
    assert slurm.queue(here) == {}


def test_the_queue_holds_jobs_of_this_folder_by_comment(programs, here):
    programs.add(
        "squeue",
        f"12|RUNNING|n[1-2]|{here}|rule_train_wildcards_toys_split1_weak_0\n"
        f"13|PENDING|(Priority)|{here}|rule_evaluate_wildcards_toys_split1_weak_0\n"
        f"14|RUNNING|n1|/elsewhere|rule_train_wildcards_toys_split1_other_0\n"
        f"15|RUNNING|n1|{here}|\n"
        "nonsense",
    )
    assert slurm.queue(here) == {
        slurm.comment("train", CELL): slurm.Job("12", "RUNNING", "n[1-2]"),
        slurm.comment("evaluate", CELL): slurm.Job("13", "PENDING", "Priority"),
    }
    assert "--user" in programs.called("squeue")


def test_a_slurm_that_fails_or_hangs_is_an_empty_queue(programs, here, monkeypatch):
    programs.add("squeue", "12|RUNNING|n1|x|y", "slurm_load_jobs error: Unable to contact controller", 1)
    assert slurm.queue(here) == {}
    assert slurm.ask("squeue").error == "slurm_load_jobs error: Unable to contact controller"
    monkeypatch.setattr(slurm, "TIMEOUT", 0.2)
    programs.add("squeue", first="sleep 30")
    started = time.monotonic()
    assert slurm.queue(here) == {} and "no answer" in slurm.ask("squeue").error
    assert time.monotonic() - started < 10


def test_the_profile_is_looked_for_here_then_for_the_user_then_for_all(here, tmp_path):
    assert slurm.find_profile("slurm") is None
    everywhere = touch(tmp_path / "system/snakemake/slurm/config.yaml")
    assert slurm.find_profile("slurm") == everywhere
    own = touch(tmp_path / "user/snakemake/slurm/profile.yaml")
    assert slurm.find_profile("slurm") == own
    touch(here / "workflow/profiles/slurm/config.yaml", "executor: slurm")
    assert slurm.find_profile("slurm") == own
    (here / "slurm").symlink_to("workflow/profiles/slurm")
    assert slurm.read_profile(slurm.find_profile("slurm")) == {"executor": "slurm"}


def test_a_folder_of_that_name_without_a_profile_ends_the_search(here, tmp_path):
    touch(tmp_path / "user/snakemake/slurm/config.yaml")
    (here / "slurm").mkdir()
    assert slurm.find_profile("slurm") is None


def test_slurms_own_logs_are_where_the_profile_says(here, monkeypatch):
    folder = slurm.job_logs(slurm.logs_folder(), "train", CELL)
    assert str(folder) == ".snakemake/slurm_logs/rule_train/toys_split1_weak_0"
    monkeypatch.setenv("PLACE", "/scratch")
    touch(here / "slurm/config.yaml", "slurm-logdir: $PLACE/logs")
    assert str(slurm.logs_folder()) == "/scratch/logs"


@pytest.mark.parametrize("text", ["just: [broken", "- a list", "\t"])
def test_a_broken_profile_has_no_keys(here, text):
    assert slurm.read_profile(touch(here / "slurm", text)) == {}


def test_the_newest_log_says_why_slurm_ended_the_job(tmp_path):
    assert slurm.last_words(tmp_path) is None
    limit = "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***\n"
    touch(tmp_path / "7.log", limit, age=50)
    assert slurm.last_words(tmp_path) == "JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT"
    touch(tmp_path / "8.log", "slurmstepd: error: Detected 1 oom_kill event in StepId=8.0.\nbye\n", age=40)
    assert slurm.last_words(tmp_path) == "Detected 1 oom_kill event in StepId=8.0."
    touch(tmp_path / "9.log", "all is well\n", age=30)
    assert slurm.last_words(tmp_path) is None
