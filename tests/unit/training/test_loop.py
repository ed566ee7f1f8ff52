"""What every training has around its steps, with steps that do nothing."""

import json
import os
import signal
from types import SimpleNamespace

import pytest

from simformer.errors import Interrupted, UserError
from simformer.training.log import StepMeans
from simformer.training.loop import LOG_FILE, Loop
from tests.conftest import job_in

COLUMNS = ("step", "loss")


def run(folder, at=lambda step: None, inputs=None, **options):
    """Do six steps of which each adds its number to the means; returns the steps that were done."""
    job, means, done = job_in(folder, folder, SimpleNamespace(hash="l"), **options), StepMeans(), []
    loop = Loop("test", 6, job, {"means": means}, "s", inputs, COLUMNS)
    batches = (number for number in range(loop.first, loop.last))
    with loop.over(batches) as steps:
        for step, batch in steps:
            assert step == batch
            at(step)
            done.append(step)
            means.add({"loss": float(step)})
            if loop.log_due(step):
                loop.log(step, means.take(), "0")
            if loop.save_due(step):
                loop.save(step + 1)
        if loop.complete():
            loop.finish({"mine": 1}, lambda path: path.write_text("weights"))
    return done


def test_a_training_ends_with_its_files_and_without_its_state(tmp_path):
    assert run(tmp_path, log_every=4) == list(range(6))
    assert (tmp_path / "log.csv").read_text().split() == ["step,loss", "4,1.5", "6,4.5"]
    facts = json.loads((tmp_path / "train.json").read_text())
    assert facts == {"hash": "s", "steps": 6, "resumed_at": 0, "mine": 1}
    assert (tmp_path / "model.safetensors").read_text() == "weights" and not (tmp_path / "state").exists()


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_it_goes_on_where_it_stopped_and_its_rows_are_those_of_an_undisturbed_one(tmp_path, stop):
    first = run(tmp_path, log_every=4, stop_after=stop)
    assert first + run(tmp_path, log_every=4) == list(range(6))
    assert (tmp_path / "log.csv").read_text().split() == ["step,loss", "4,1.5", "6,4.5"]


@pytest.mark.parametrize(("step", "told"), [(0, "after step 1;"), (4, "after step 5;"), (5, "after step 6;")])
def test_a_signal_waits_for_the_end_of_its_step_and_loses_none(tmp_path, step, told):
    def at(now):
        if now == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=told):
        run(tmp_path, at)
    assert not (tmp_path / "model.safetensors").exists() and (tmp_path / "state" / LOG_FILE).exists()
    assert run(tmp_path) == list(range(step + 1, 6))


def test_the_bar_has_ended_its_line_before_a_failure_is_told(tmp_path, capfd):
    def at(now):
        if now == 3:
            raise UserError("a failure")

    with pytest.raises(UserError) as failure:  # keeps the frames of the failure
        run(tmp_path, at)
    assert "3/6" in (printed := capfd.readouterr().err) and printed.endswith("\n"), (printed, failure)


def test_what_fails_in_a_step_leaves_the_last_saved_state(tmp_path):
    def at(now):
        if now == 3:
            raise UserError("a failure")

    with pytest.raises(UserError, match="^a failure$"):
        run(tmp_path, at, checkpoint_every=2)
    with pytest.raises(UserError, match=r"other masks \(hash None, now m\)"):
        run(tmp_path, inputs={"masks": "m"})
    assert run(tmp_path) == [2, 3, 4, 5]


def test_a_record_beside_the_state_says_what_it_belongs_to(tmp_path):
    run(tmp_path, stop_after=2)
    record = json.loads((tmp_path / "state/state.json").read_text())
    assert record["hash"] == record["inputs"]["settings"] == "s"
    assert record["inputs"].keys() == {"settings", "labels", "initial weights"}
    run(tmp_path)
    assert not (tmp_path / "state").exists()
