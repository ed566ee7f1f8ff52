"""A study in all states: what `simformer status` finds and prints."""

import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from simformer.cli import main
from simformer.machine import slurm
from simformer.study.catalogue import Catalogue
from simformer.study.plan import make_plan, trainings
from simformer.study.status import make_status
from simformer.study.status_text import SYMBOLS, status_text
from tests.stubs import Programs, touch
from tests.unit.study.test_plan import FILES, finish

NOW = 1_000_000.0
CLOCK = datetime(2026, 1, 1, 12, 0)
ROWS = "step,seconds\n20,10\n40,20\n"
SPLITS = {1: {"novel": ["sea"]}, 2: {"novel": ["star"]}}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of 10 trainings (`weak` teaches `again`; `oracle` serves both splits) on a machine without Slurm."""
    programs = Programs(tmp_path / "bin", monkeypatch)
    monkeypatch.chdir(tmp_path)
    toys = FILES["datasets/toys"] | {"settings": {"optim": {"steps": 100}}}
    for name, content in (FILES | {"datasets/toys": toys}).items():
        touch(tmp_path / "config" / f"{name}.yaml", yaml.safe_dump(content))
    content = {"datasets": {"toys": {"splits": SPLITS}}, "experiments": ["one", "two"], "seeds": [0, 7]}
    touch(tmp_path / "config/study.yaml", yaml.safe_dump(content))
    return Study(Catalogue(content, "study.yaml", tmp_path / "config"), programs)


class Study:
    """The study, and its training (toys, split1, weak, 0), to which things happen."""

    def __init__(self, catalogue, programs) -> None:
        self.catalogue, self.programs = catalogue, programs
        self.cell = ("toys", "split1", "weak", 0)
        self.state = self.folder(*self.cell) / "state"
        self.log = Path("results/logs/train/toys.split1.weak.seed0.log")

    def folder(self, dataset, split, method, seed) -> Path:
        return Path("results", dataset, split, method, f"seed{seed}")

    def finish(self, cell, evaluated=False, **facts) -> None:
        finish(self.folder(*cell), self.catalogue.run(*cell).hash, **facts)
        if evaluated:
            (self.folder(*cell) / "metrics.json").touch()

    def look(self, *experiments, **options):
        return make_status(self.catalogue, experiments, NOW, gpu_here=False, **options)

    def one(self):
        return next(t for t in self.look().trainings if t.cell == self.cell)

    def text(self, *experiments, **options) -> str:
        return status_text(self.look(*experiments, **options), CLOCK, colour=False)


def test_a_study_that_has_not_begun_is_missing(study):
    status = study.look()
    assert [t.state for t in status.trainings] == ["missing"] * 10
    assert status.tables == {"one": (0, 8), "two": (0, 8)}
    assert status.failed_jobs == ()


def test_what_tables_and_splits_share_is_one_training(study):
    status = study.look()
    assert [t.cell for t in status.trainings] == trainings(study.catalogue, ["one", "two"])
    oracle = next(t for t in status.trainings if t.cell == ("toys", "full", "oracle", 0))
    places = [f"results/toys/{split}/oracle/seed0/metrics.json" for split in ("split1", "split2")]
    assert sorted(map(str, oracle.needed)) == places
    assert next(t for t in study.look("one").trainings if t.cell == study.cell).needed == ()


def test_a_shared_training_is_evaluated_when_every_split_is(study):
    cell = ("toys", "full", "oracle", 0)
    study.finish(cell)
    for split, symbol in (("split1", "="), ("split2", "#")):
        (study.folder("toys", split, "oracle", 0)).mkdir(parents=True)
        (study.folder("toys", split, "oracle", 0) / "metrics.json").touch()
        row = next(line for line in study.text().splitlines() if line.startswith("  oracle"))
        assert row.split() == ["oracle", f"{symbol}.", "1/2"]
    assert study.look().tables == {"one": (2, 8), "two": (2, 8)}


def test_numbers_that_are_older_than_the_model_do_not_count(study):
    study.finish(study.cell, evaluated=True)
    assert study.look().tables["two"] == (1, 8)
    os.utime(study.folder(*study.cell) / "metrics.json", (5, 5))
    assert study.look().tables["two"] == (0, 8)
    assert study.one().state == "done" and study.one().results == ()


def test_numbers_of_a_training_with_other_settings_do_not_count(study):
    finish(study.folder(*study.cell), "0" * 16)
    (study.folder(*study.cell) / "metrics.json").touch()
    assert study.one().state == "changed"
    assert study.look().tables["two"] == (0, 8)


def test_a_training_whose_files_grow_runs(study):
    touch(study.state / "log.csv", ROWS, age=10)
    touch(study.log, "weak seed 0:  42%|████ | 42/100 [00:21<00:29]", age=3)
    running = study.one()
    assert (running.state, running.progress.step, running.progress.speed) == ("running", 42, 2.0)
    assert running.hours * 3600 == pytest.approx(29)
    line = next(line for line in study.text().splitlines() if "42/100" in line)
    assert " ".join(line.split()) == "toys/split1/weak/seed0 42/100 2 steps/s 29 s left seen 3 s ago"


def test_a_training_that_has_just_been_started_runs(study):
    touch(study.log, "", age=60)
    assert study.one().state == "running"
    assert "starting" in study.text()
    touch(study.log, "", age=6000)
    assert study.one().state == "missing"


def test_a_killed_training_is_interrupted_once_it_is_quiet(study):
    touch(study.state / "log.csv", ROWS, age=1000)
    touch(study.state / "state.pt", age=1030)
    touch(study.log, "weak seed 0:  42%|████ | 42/100 [00:21<00:29]", age=1000)
    found = study.one()
    assert (found.state, found.progress.saved) == ("interrupted", 1030)
    assert "toys/split1/weak/seed0                               42/100  saved 17 min ago" in study.text()


def test_a_training_that_stopped_on_a_signal_is_interrupted_at_once(study):
    touch(study.state / "log.csv", ROWS, age=1)
    touch(study.state / "state.pt", age=1)
    touch(study.log, "interrupted: stopped on a signal after step 40; run the same command to continue\n", age=1)
    assert study.one().state == "interrupted"


def test_what_was_not_saved_is_to_be_done_again(study):
    def hours():
        return study.one().hours

    assert hours() is None
    study.finish(("toys", "split1", "weak", 7), steps_per_second=1.0)
    whole = hours()
    touch(study.state / "log.csv", ROWS, age=1000)
    assert hours() == pytest.approx(whole)
    assert "nothing saved, starts over" in study.text()
    touch(study.state / "state.pt", age=1000)
    assert hours() == pytest.approx(0.6 * whole)


def test_a_failed_training_shows_its_error_and_its_log(study):
    touch(study.state / "log.csv", ROWS, age=1)
    touch(study.log, "weak seed 0:  42%|████ | 42/100 [00:21<00:29]error: step 43: it broke\n", age=1)
    assert (study.one().state, study.one().reason) == ("failed", "error: step 43: it broke")
    lines = [line.strip() for line in study.text().splitlines()]
    at = lines.index("failed")
    assert lines[at + 1 : at + 4] == ["toys/split1/weak/seed0", "error: step 43: it broke", f"log: {study.log}"]


def test_a_finished_training_is_done_whatever_an_old_log_says(study):
    touch(study.log, "error: an earlier attempt\n")
    study.finish(study.cell)
    assert study.one().state == "done" and study.one().reason is None


def test_other_failed_jobs_are_listed_and_those_that_went_well_are_not(study):
    touch(Path("results/logs/mask_labels/toys.split1.log"), "error: no such file\n")
    touch(Path("results/logs/splits_page.log"), "Traceback (most recent call last):\nValueError: no\n")
    touch(Path("results/logs/evaluate/toys.split1.weak.seed0.log"), "")
    jobs = {job.name: job.reason for job in study.look().failed_jobs}
    assert jobs == {"mask_labels/toys.split1": "error: no such file", "splits_page": "ValueError: no"}
    assert "log: results/logs/mask_labels/toys.split1.log" in study.text()


def test_slurm_tells_waiting_jobs_and_quiet_ones_that_run(study):
    def submit(state, where):
        study.programs.add("squeue", f"12|{state}|{where}|{Path.cwd()}|{slurm.comment('train', study.cell)}")

    submit("PENDING", "(Resources)")
    assert (study.one().state, study.one().slurm_job) == ("queued", "12 (Resources)")
    assert "job 12 (Resources)" in study.text()
    touch(study.state / "log.csv", ROWS, age=5000)
    submit("RUNNING", "n1")
    assert (study.one().state, study.one().slurm_job) == ("running", "12 (n1)")
    submit("PENDING", "(BeginTime)")
    assert study.one().state == "queued"


def test_what_slurm_said_of_a_job_that_it_ended_is_told(study):
    touch(study.state / "log.csv", ROWS, age=5000)
    folder = Path(".snakemake/slurm_logs/rule_train/toys_split1_weak_0")
    touch(folder / "12.log", "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0.\n")
    assert study.one().reason == "Detected 1 oom_kill event in StepId=12.0."
    assert "Slurm: Detected 1 oom_kill" in study.text()
    touch(study.log, "error: it broke\n", age=4000)
    assert f"Slurm's: {folder}/" in study.text()


def test_the_end_is_estimated_with_teachers_first(study):
    assert study.look().end is None
    assert "left: no training of these methods was measured; the first one that runs will show it" in study.text()
    for method in ("weak", "again", "oracle"):  # finished runs of other settings: all are to be trained, at this speed
        split = "full" if method == "oracle" else "split1"
        finish(study.folder("toys", split, method, 0), "0" * 16, steps_per_second=1.0)
    whole = study.one().hours
    assert study.look().end == pytest.approx(10 * whole)
    assert study.look(jobs=2).end == pytest.approx(5 * whole)
    # However many run at a time: `again` waits for `weak`.
    assert study.look(jobs=50).end == pytest.approx(2 * whole)
    assert ", 50 at a time" in study.text(jobs=50)


def test_finished_trainings_tell_device_and_speed(study):
    study.finish(study.cell, device="NVIDIA H200", steps_per_second=1.0)
    status = study.look()
    assert status.device == "GPU"
    like = [t for t in status.trainings if t.cell[2] == "weak" and t.state != "done"]
    assert len(like) == 3 and all(t.hours == pytest.approx(100 / 3600) for t in like)
    assert status.end is None
    assert "left: 0.08 GPU-hours of training, at measured speeds, and 6 trainings whose speed was not" in study.text()


@pytest.mark.parametrize(
    ("program", "output", "device"),
    [
        ("sbatch", "", "CPU-core"),
        ("sinfo", "(null)", "CPU-core"),
        ("sinfo", "gpu:h100:8", "GPU"),
        ("nvidia-smi", "", "GPU"),
    ],
)
def test_the_machine_tells_the_device_until_a_training_does(study, capsys, program, output, device):
    study.programs.add(program, output)
    assert main(["status", "--study", "config/study.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"]["device"] == device


def test_one_training_is_no_plural(study):
    for cell in trainings(study.catalogue, ["one", "two"])[1:]:
        study.finish(cell, steps_per_second=1.0)
    status = replace(study.look(), trainings=study.look().trainings[:1])
    assert "study.yaml (one, two): 1 training\n" in status_text(status, CLOCK, colour=False)
    assert make_plan(study.catalogue).text(True).startswith("study.yaml (one, two): 10 trainings, 9 done, 1 to do")


def test_the_grid_has_a_row_per_method_and_a_symbol_per_seed(study):
    study.finish(study.cell, evaluated=True)
    study.finish(("toys", "split1", "again", 7))
    touch(Path("results/logs/train/toys.split2.again.seed0.log"), "error: no\n")
    text = study.text()
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.endswith(("/2", "/4"))}
    assert rows["weak"] == ["#.", "..", "1/4"]
    assert rows["again"] == [".=", "x.", "1/4"]
    assert rows["oracle"] == ["..", "0/2"]
    assert "toys, one symbol per seed (0, 7)" in text
    legend = next(line for line in text.splitlines() if line.startswith("# evaluated"))
    assert all(f"{symbol} " in legend for symbol, _ in SYMBOLS.values())


def test_a_large_study_stays_within_100_columns(tmp_path, monkeypatch):
    root = Path(__file__).resolve().parents[3]
    content = yaml.safe_load((root / "config/config.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    catalogue = Catalogue(content, "config/config.yaml", root / "config")
    text = status_text(make_status(catalogue, (), NOW, gpu_here=True), CLOCK, colour=False)
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) < 60
    wide = content | {"seeds": list(range(9))}
    text = status_text(make_status(Catalogue(wide, "s", root / "config"), (), NOW, True), CLOCK, colour=False)
    assert max(map(len, text.splitlines())) <= 100


def test_long_lists_are_cut_and_counted(study, monkeypatch):
    monkeypatch.setattr("simformer.study.status_text.LISTED", 3)
    for cell in trainings(study.catalogue, ["one", "two"]):
        touch(Path("results/logs/train", "{}.{}.{}.seed{}.log".format(*cell)), "error: no\n")
    assert "... and 7 more" in study.text()


def test_colour_is_only_added_when_asked_for(study):
    assert "\033" not in study.text()
    coloured = status_text(study.look(), CLOCK, colour=True)
    assert "\033[90m.\033[0m" in coloured


def test_nothing_is_written(study):
    before = sorted(Path().rglob("*"))
    study.text()
    assert sorted(Path().rglob("*")) == before


def test_the_command_prints_text_and_json(study, capsys):
    touch(study.state / "log.csv", ROWS, age=0)
    assert main(["status", "--study", "config/study.yaml"]) == 0
    assert capsys.readouterr().out.startswith("config/study.yaml (one, two): 10 trainings\n")
    assert main(["status", "--study", "config/study.yaml", "--json", "results/two.csv"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["counts"]["interrupted"] == 1 and sum(content["counts"].values()) == 6
    assert content["tables"] == {"two": {"there": 0, "needed": 8}}
    found = next(t for t in content["trainings"] if t["state"] == "interrupted")
    assert (found["method"], found["seed"], found["progress"]["step"], found["steps"]) == ("weak", 0, 40, 100)


def test_a_state_that_the_next_run_refuses_is_no_interrupted_training(study):
    touch(study.state / "log.csv", ROWS, age=1000)
    touch(study.state / "state.pt", age=1000)
    touch(study.state / "state.json", json.dumps({"hash": "0" * 16, "novel": "0" * 8}), age=1000)
    assert study.one().state == "changed" and not study.look().of("interrupted")
    text = study.text()
    row = next(line for line in text.splitlines() if line.startswith("  weak"))
    assert row.split() == ["weak", "!.", "..", "0/4"]
    assert "the next run refuses their saved state:\ndelete these folders" in text
    assert f"\n  {study.state}\n" in text


def test_numbers_of_other_novel_classes_do_not_count(study):
    """The oracle is trained once for all splits, and stays done when a split is changed; its numbers are not."""
    cell = ("toys", "full", "oracle", 0)
    study.finish(cell)
    file = study.folder("toys", "split1", "oracle", 0) / "metrics.json"
    file.parent.mkdir(parents=True)
    for novel, there in (("sea", 1), ("cow", 0)):
        file.write_text(json.dumps({"run": "x", "classes": ["sea", "cow", "star"], "novel_classes": [novel]}))
        assert study.look().tables["one"] == (there, 8)
