"""What the growing files of a training tell: step, speed, life and last words."""

import os
from pathlib import Path

import pytest

from simformer.study.progress import PATIENCE, START_PATIENCE, last_error, read_progress
from simformer.training.log import COLUMNS
from simformer.training.record import resumed_at

NOW = 1_000_000.0
BAR = "\rtiny seed 0:  40%|████      | 402/1000 [01:10<01:40,  5.97it/s, loss 5.419]"


def write(path: Path, text: str, age: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (NOW - age, NOW - age))
    return path


def rows(*pairs: tuple[int, float]) -> str:
    """Text of a log.csv with these (step, seconds)."""
    lines = [",".join(str({"step": step, "seconds": seconds}.get(c, 1.0)) for c in COLUMNS) for step, seconds in pairs]
    return "\n".join([",".join(COLUMNS), *lines]) + "\n"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def log(tmp_path):
    return tmp_path / "train.log"


def test_nothing_there_is_no_progress_and_no_life(folder, log):
    progress = read_progress(folder, log, NOW)
    assert (progress.step, progress.speed, progress.quiet, progress.saved) == (0, None, None, None)
    assert not progress.alive


def test_files_of_a_real_training_are_understood(scenes, masked, new_config, run_training, tmp_path):
    folder, log = tmp_path / "run", tmp_path / "train.log"
    run_training(new_config({"optim": {"steps": 8}}), masked, folder, stop_after=4)
    written = (folder / "state" / "state.pt").stat().st_mtime
    progress = read_progress(folder, log, written + 5)
    assert progress.step == 4 and progress.saved == pytest.approx(5)
    assert 0 < progress.speed < 1000 and progress.rows_every > 0
    assert progress.alive


def test_speed_is_that_of_the_last_rows(folder, log):
    slow = [(20 * i, 100.0 * i) for i in range(1, 6)]
    fast = [(100 + 20 * i, 500.0 + 10 * i) for i in range(1, 12)]
    write(folder / "state/log.csv", rows(*slow, *fast))
    progress = read_progress(folder, log, NOW)
    assert (progress.step, progress.speed, progress.rows_every) == (320, 2.0, 10.0)


def test_speed_is_not_taken_across_attempts(folder, log):
    """The clock goes on: after 100 s of training, the second attempt took 60 s to begin."""
    first = [(480, 96), (500, 100)]
    write(folder / "state/resumed_at", "500\n")
    write(folder / "state/log.csv", rows(*first, (520, 164), (540, 168)))
    progress = read_progress(folder, log, NOW)
    assert (progress.step, progress.speed, progress.rows_every) == (540, 5.0, 4.0)
    write(folder / "state/log.csv", rows(*first, (520, 164)))
    assert (read_progress(folder, log, NOW).step, read_progress(folder, log, NOW).speed) == (520, None)
    write(folder / "state/log.csv", rows(*first))
    assert (read_progress(folder, log, NOW).step, read_progress(folder, log, NOW).speed) == (500, None)


def test_a_training_tells_where_its_attempt_began(scenes, masked, new_config, run_training, tmp_path):
    config = new_config({"optim": {"steps": 8}})
    for stop, first in ((4, 0), (6, 4)):
        run_training(config, masked, tmp_path, stop_after=stop)
        assert resumed_at(tmp_path / "state") == first
    run_training(config, masked, tmp_path)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("text", ["", "half", None])
def test_a_state_that_does_not_tell_it_has_one_attempt(folder, log, text):
    write(folder / "state/log.csv", rows((20, 10), (40, 20)))
    if text is not None:
        write(folder / "state/resumed_at", text)
    assert read_progress(folder, log, NOW).speed == 2.0


def test_a_row_that_is_being_written_does_no_harm(folder, log):
    whole = rows((20, 10), (40, 20))
    for cut in range(1, 12):
        write(folder / "state/log.csv", whole[:-cut])
        assert read_progress(folder, log, NOW).step in (20, 40)


def test_the_progress_bar_is_ahead_of_the_rows(folder, log):
    write(folder / "state/log.csv", rows((20, 10), (400, 200)))
    write(log, BAR)
    assert read_progress(folder, log, NOW).step == 402


@pytest.mark.parametrize("sign", ["state/log.csv", "state/state.pt"])
def test_the_newest_file_is_the_sign_of_life(folder, log, sign):
    write(folder / "state/log.csv", rows((20, 10), (40, 20)), age=5000)
    write(log, BAR, age=4000)
    assert not read_progress(folder, log, NOW).alive
    write(folder / sign, rows((20, 10), (40, 20)), age=30)
    progress = read_progress(folder, log, NOW)
    assert progress.alive and progress.quiet == 30


def test_slow_trainings_get_more_patience(folder, log):
    write(folder / "state/log.csv", rows((20, 10), (40, 20)), age=PATIENCE + 1)
    assert not read_progress(folder, log, NOW).alive
    write(folder / "state/log.csv", rows((20, 600), (40, 1200)), age=PATIENCE + 1)
    assert read_progress(folder, log, NOW).alive
    write(folder / "state/log.csv", rows((20, 600), (40, 1200)), age=1801)
    assert not read_progress(folder, log, NOW).alive


def test_before_the_first_row_the_empty_log_is_the_sign_of_life(folder, log):
    write(log, "", age=START_PATIENCE - 1)
    assert read_progress(folder, log, NOW).alive
    write(log, "", age=START_PATIENCE + 1)
    assert not read_progress(folder, log, NOW).alive


def test_a_clock_that_is_behind_the_disk_does_no_harm(folder, log):
    write(folder / "state/log.csv", rows((20, 10), (40, 20)), age=-300)
    assert read_progress(folder, log, NOW).quiet == 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("error: step 60: the loss is not finite\n", "error: step 60: the loss is not finite"),
        (BAR + "error: disk full\n", "error: disk full"),
        (BAR + "\n" + "error: a.yaml: one\na.yaml: two\n", "error: a.yaml: one"),
        (
            BAR
            + '\nTraceback (most recent call last):\n  File "x.py", line 1\ntorch.cuda.OutOfMemoryError: no\nhint\n',
            "torch.cuda.OutOfMemoryError: no",
        ),
        ("[rank1]: RuntimeError: NCCL\n[rank1]: see above\n", "RuntimeError: NCCL"),
        ("Fatal Python error: Segmentation fault\n\n", "Fatal Python error: Segmentation fault"),
        (BAR, None),
        ("error: of an earlier attempt\n" + BAR, None),
        (BAR + "\ninterrupted: stopped on a signal after step 40; run the same command to continue\n", None),
        ("interrupted; type the same command to continue\n", None),
        ("UserWarning: no error: just a warning\n" + BAR, None),
        ("", None),
    ],
)
def test_last_words_of_a_log(folder, log, text, error):
    write(log, text)
    assert last_error(log) == error
    progress = read_progress(folder, log, NOW)
    assert progress.error == error
    assert progress.stopped == ("interrupted" in text)
    assert progress.alive == (error is None and "interrupted" not in text)


def test_only_the_end_of_a_long_log_is_read(log):
    write(log, "error: old\n" + BAR * 2000 + "\nerror: new\n")
    assert last_error(log) == "error: new"


def test_damaged_rows_of_a_log_are_passed_over(folder):
    text = rows((20, 10), (40, 20))
    write(folder / "state/log.csv", text + text.splitlines()[1].replace("20", "twenty") + "\n")
    assert read_progress(folder, folder / "no.log", NOW).step == 40
    write(folder / "state/log.csv", "lr,seconds\n1,2\n")
    assert read_progress(folder, folder / "no.log", NOW).step == 0
