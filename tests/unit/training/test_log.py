"""Training logs: means, rows kept on resume, and a log that a kill cannot lose."""

import csv
import os
import sys

import pytest

from simformer.errors import UserError
from simformer.training.log import COLUMNS, CsvLog, StepMeans, TensorBoardLog


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def row(step, value=1.0):
    return dict.fromkeys(COLUMNS, value) | {"step": step}


def write(path, start, steps):
    log = CsvLog(path, start)
    for step in steps:
        log.write(row(step))
    log.close()


def test_rows_appear_at_once_with_all_columns(tmp_path):
    log = CsvLog(tmp_path / "new" / "log.csv", 0)
    assert (tmp_path / "new" / "log.csv").read_text().split() == [",".join(COLUMNS)]
    log.write(row(20, 1 / 3))
    (found,) = rows(tmp_path / "new" / "log.csv")
    assert found == dict.fromkeys(COLUMNS, "0.333333") | {"step": "20"}
    log.close()


def test_rows_after_the_restored_step_are_dropped(tmp_path):
    path = tmp_path / "log.csv"
    write(path, 0, [2, 4, 6, 8])
    write(path, 5, [6])
    assert [r["step"] for r in rows(path)] == ["2", "4", "6"]
    write(path, 6, [])
    assert [r["step"] for r in rows(path)] == ["2", "4", "6"]


def test_a_fresh_start_drops_an_old_log(tmp_path):
    path = tmp_path / "log.csv"
    write(path, 0, [2, 4])
    write(path, 0, [2])
    assert [r["step"] for r in rows(path)] == ["2"]


def test_rewriting_the_log_on_resume_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "log.csv"
    write(path, 0, [2, 4])
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        CsvLog(path, 2)
    assert path.read_bytes() == before


def test_means_are_taken_over_the_steps_since_the_last_row():
    means = StepMeans()
    for value in (1.0, 2.0, 6.0):
        means.add({"a": value, "b": -value})
    assert means.take() == {"a": 3.0, "b": -3.0}
    means.add({"a": 5.0, "b": 0.0})
    assert means.take() == {"a": 5.0, "b": 0.0}


def test_a_restored_mean_counts_the_steps_before_the_stop():
    first, second = StepMeans(), StepMeans()
    first.add({"a": 1.0})
    state = first.state_dict()
    second.load_state_dict(state)
    second.add({"a": 2.0})
    assert second.take() == {"a": 1.5}
    assert state == {"rows": [{"a": 1.0}]}


def test_tensorboard_gets_the_same_values_and_forgets_later_steps(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start, steps in ((0, [2, 4, 6]), (3, [4])):
        log = TensorBoardLog(tmp_path, start)
        for step in steps:
            log.write(row(step, 0.5 + start))
        log.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("total")] == [(2, 0.5), (4, 3.5)]
    assert set(events.Tags()["scalars"]) == set(COLUMNS) - {"step"}


def test_missing_tensorboard_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        TensorBoardLog(tmp_path, 0)


@pytest.mark.parametrize("text", ["step,lr\nten,0.1\n", "lr\n0.1\n", "step,lr\n1,0.1,0.2,0.3\n", "\udcff"])
def test_a_damaged_log_of_an_interrupted_training_is_told_in_one_line(tmp_path, text):
    (tmp_path / "log.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=r"log\.csv: damaged: .* delete .* to start over$"):
        CsvLog(tmp_path / "log.csv", 5, ("step", "lr"))
