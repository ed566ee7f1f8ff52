"""The training loop: it learns, it resumes bit for bit, and it stops with a message before it spoils anything."""

import csv
import json
import math
import multiprocessing
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch
from torch._inductor.exc import InvalidCxxCompiler

from simformer.config.layers import RunConfig
from simformer.errors import UserError
from simformer.losses.total import SimFormerLoss
from simformer.machine.devices import set_precision
from tests.conftest import SINGLE


def log_of(path) -> list[dict[str, float]]:
    """Rows of a log without the clock."""
    with path.open(newline="") as stream:
        return [{k: float(v or "nan") for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def assert_equal_results(a, b):
    assert a.model.read_bytes() == b.model.read_bytes()
    assert str(log_of(a.log)) == str(log_of(b.log))  # as text, in which NaN equals NaN


def spoil(monkeypatch, at_call: int, change):
    """Change the loss terms of one call."""
    original, calls = SimFormerLoss.__call__, []

    def call(self, output, *arguments, **options):
        terms = original(self, output, *arguments, **options)
        calls.append(1)
        return change(terms, output) if len(calls) == at_call else terms

    monkeypatch.setattr(SimFormerLoss, "__call__", call)


def test_the_full_method_lowers_every_loss_it_can(masked, new_config, run_training, tmp_path):
    few = replace(masked, images=masked.images[:4])
    outputs = run_training(new_config({"optim": {"steps": 40}}), few, tmp_path, log_every=5)
    first, *_, last = log_of(outputs.log)
    assert len(log_of(outputs.log)) == 8
    assert last["total"] < 0.85 * first["total"]
    assert last["cls"] < 0.95 * first["cls"]
    assert last["focal"] < 0.7 * first["focal"]
    for row in log_of(outputs.log):
        terms = sum(row[name] for name in ("cls", "focal", "dice", "comp", "sim", "dist"))
        assert row["total"] == pytest.approx(terms, rel=1e-4)
        assert all(row[name] > 0 for name in ("comp", "sim", "grad_norm"))


def test_a_plain_maskformer_has_no_terms_of_the_transfer(masked, new_config, run_training, tmp_path):
    outputs = run_training(new_config(SINGLE), masked, tmp_path)
    assert all(row["comp"] == row["sim"] == row["dist"] == 0 for row in log_of(outputs.log))


def test_the_log_holds_the_scheduled_rates_and_the_facts_describe_the_run(masked, new_config, run_training, tmp_path):
    config = new_config({"optim": {"steps": 5}})
    outputs = run_training(config, masked, tmp_path)
    rows = log_of(outputs.log)
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert [row["lr"] for row in rows] == pytest.approx([1e-3 * (1 - t / 5) ** 0.9 for t in (1, 3, 4)], rel=1e-5)
    facts = json.loads(outputs.facts.read_text())
    assert (facts["hash"], facts["steps"], facts["resumed_at"], facts["images"]) == (config.hash, 5, 0, 24)
    assert (outputs.facts.parent / facts["labels"]).resolve() == masked.root.resolve()


@pytest.mark.usefixtures("any_hardware")
@pytest.mark.parametrize(
    ("stop", "precision", "loss"),
    [
        (1, "fp32", {}),
        (3, "bf16", {}),
        pytest.param(4, "fp16", {}, marks=pytest.mark.slow),
        (4, "fp32", {}),
        (2, "fp32", {"exclusive": 2.5, "present": 1.0}),  # amid the ramp
    ],
)
def test_a_resumed_training_equals_an_undisturbed_one(
    masked, new_config, run_training, tmp_path, stop, precision, loss
):
    config = new_config({"optim": {"steps": 6, "precision": precision}, "loss": loss})
    assert config.settings.model.dropout > 0
    whole = run_training(config, masked, tmp_path / "whole", log_every=4)
    halves = run_training(config, masked, tmp_path / "halves", log_every=4, stop_after=stop)
    assert not any(path.exists() for path in vars(halves).values())
    torch.rand(stop)
    run_training(config, masked, tmp_path / "halves", log_every=4)
    assert_equal_results(whole, halves)
    assert json.loads(halves.facts.read_text())["resumed_at"] == stop


def test_the_terms_against_overlap_begin_where_the_ramp_does(masked, new_config, run_training, tmp_path):
    logs = []
    for name, loss in (("plain", {}), ("plus", {"exclusive": 2.5, "present": 1.0, "ramp": (0.5, 0.9)})):
        config = new_config({"optim": {"steps": 4}, "loss": loss})
        logs.append(run_training(config, masked, tmp_path / name, log_every=1).log.read_text().splitlines())
    rows = [[line.split(",")[:-1] for line in log] for log in logs]
    assert rows[0][:4] == rows[1][:4]  # the head and steps 0, 1 and 2: at half of the steps the ramp is still at 0
    assert rows[0][4] != rows[1][4]


def test_the_whole_state_of_a_resumed_training_equals_an_undisturbed_ones(masked, new_config, run_training, tmp_path):
    config = new_config({"optim": {"steps": 6}})
    run_training(config, masked, tmp_path / "whole", stop_after=5)
    for stop in (1, 3, 5):
        run_training(config, masked, tmp_path / "parts", stop_after=stop)
    states = [torch.load(tmp_path / name / "state" / "state.pt", weights_only=True) for name in ("whole", "parts")]
    assert states[0]["step"] == states[1]["step"] == 5
    assert set(states[0]["parts"]) == {"model", "simnet", "optimizer", "loss", "scaler", "means", "usage"}
    usage = [state["parts"].pop("usage") for state in states]
    assert usage[0]["steps"] == usage[1]["steps"] == 5
    for name in states[0]["parts"]:
        assert _equal(states[0]["parts"][name], states[1]["parts"][name]), name
    assert _equal(states[0]["random"]["torch"], states[1]["random"]["torch"])


def _equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a == b


def test_equal_runs_are_equal_and_other_seeds_are_not(masked, new_config, run_training, tmp_path):
    config = new_config({"optim": {"steps": 2}})
    one = run_training(config, masked, tmp_path / "1")
    two = run_training(config, masked, tmp_path / "2", workers=1, checkpoint_every=1)
    assert_equal_results(one, two)
    other = run_training(config.model_copy(update={"seed": 1}), masked, tmp_path / "3")
    assert log_of(other.log)[0]["cls"] != log_of(one.log)[0]["cls"]


def test_accumulating_group_by_group_gives_the_same_gradient(masked, new_config, run_training, tmp_path):
    moments, logs = [], []
    for groups in (0, 1):
        optim = {"batch_images": 6, "groups_per_forward": groups}
        changes = {"optim": optim, "model": {"dropout": 0}}
        run_training(new_config(changes), masked, tmp_path / str(groups), stop_after=1, log_every=1)
        state = torch.load(tmp_path / str(groups) / "state" / "state.pt", weights_only=True)
        moments.append([s["exp_avg"] for s in state["parts"]["optimizer"]["state"].values()])
        logs.append(log_of(tmp_path / str(groups) / "state" / "log.csv")[0])
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)
    scale = max(m.abs().max() for m in moments[0])
    assert len(moments[0]) > 50
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-5 * scale) for a, b in zip(*moments, strict=True))


@pytest.mark.usefixtures("any_hardware")
@pytest.mark.parametrize("precision", ["bf16", pytest.param("fp16", marks=pytest.mark.slow)])
def test_lower_precision_trains(masked, new_config, run_training, tmp_path, precision):
    full = run_training(new_config(), masked, tmp_path / "full")
    low = run_training(new_config({"optim": {"precision": precision}}), masked, tmp_path / "low")
    a, b = log_of(full.log)[0], log_of(low.log)[0]
    assert a["total"] != b["total"]
    assert b["total"] == pytest.approx(a["total"], rel=0.1)
    assert all(math.isfinite(value) for row in log_of(low.log) for key, value in row.items() if key != "grad_norm")


def nan_dice(terms, output):
    return terms | {"dice": terms["dice"] * math.nan}


def nan_gradient(terms, output):
    return terms | {"cls": terms["cls"] + (output.class_logits * 0).sum().sqrt()}


@pytest.mark.parametrize(
    ("change", "message"),
    [(nan_dice, "the loss is not finite: dice = nan."), (nan_gradient, "the gradient norm is nan.")],
)
def test_a_value_that_is_not_finite_stops_before_it_spoils_the_state(
    masked, new_config, run_training, tmp_path, monkeypatch, change, message
):
    config = new_config({"optim": {"steps": 5}})
    with monkeypatch.context() as patch, pytest.raises(UserError) as error:
        spoil(patch, at_call=4, change=change)
        run_training(config, masked, tmp_path / "a", checkpoint_every=1)
    text = str(error.value)
    assert text.startswith(f"step 3: {message}")
    names = {image.name for image in masked.images}
    assert len(set(text.replace(",", " ").replace(".", " ").split()) & names) in (3, 4)
    assert "optim.lr" in text
    assert torch.load(tmp_path / "a" / "state" / "state.pt", weights_only=True)["step"] == 3
    assert not (tmp_path / "a" / "model.safetensors").exists()
    assert_equal_results(run_training(config, masked, tmp_path / "a"), run_training(config, masked, tmp_path / "whole"))


@pytest.mark.parametrize("place", ["save_state", "read_photograph"])
def test_a_failed_training_leaves_no_loading_process_behind(
    masked, new_config, run_training, tmp_path, monkeypatch, place
):
    """They ignore the signal by which Python ends them when it exits, and would be waited for for ever."""
    module = {"save_state": "simformer.training.loop", "read_photograph": "simformer.data.loader"}[place]
    monkeypatch.setattr(f"{module}.{place}", Mock(side_effect=UserError("a failure")))
    with pytest.raises(UserError, match="^a failure$") as error:
        run_training(new_config(), masked, tmp_path, workers=1, checkpoint_every=1)
    left = multiprocessing.active_children()
    for process in left:
        process.kill()
    assert error.traceback and not left


def test_logits_that_are_not_finite_are_named(masked, new_config, run_training, tmp_path):
    config = new_config({"optim": {"lr": 1e30}})
    with pytest.raises(UserError, match=r"step 1: .*not finite.* Images of the batch: train_"):
        run_training(config, masked, tmp_path, checkpoint_every=1)


def test_an_empty_label_set_is_refused(masked, new_config, run_training, tmp_path):
    with pytest.raises(UserError, match="the label set has no images"):
        run_training(new_config(), replace(masked, images=()), tmp_path)


def test_images_without_any_label_can_be_trained_on(masked, new_config, run_training, tmp_path):
    images = tuple(replace(image, classes=()) for image in masked.images[:2])
    outputs = run_training(new_config(), replace(masked, images=images), tmp_path)
    assert math.isfinite(log_of(outputs.log)[-1]["total"])


def test_a_training_killed_while_it_wrote_its_outputs_writes_them_again(
    masked, new_config, run_training, tmp_path, monkeypatch
):
    config = new_config({"optim": {"steps": 2}})
    whole = run_training(config, masked, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("simformer.train.save_model", Mock(side_effect=KeyboardInterrupt))
        run_training(config, masked, tmp_path / "killed")
    outputs = run_training(config, masked, tmp_path / "killed")
    assert_equal_results(whole, outputs)
    assert json.loads(outputs.facts.read_text())["resumed_at"] == 2


def test_a_finished_training_leaves_no_state_and_no_file_of_others_is_touched(
    masked, new_config, run_training, tmp_path
):
    config = new_config({"optim": {"steps": 2}})
    (tmp_path / "shared" / "state").mkdir(parents=True)
    (tmp_path / "shared" / "state" / "thesis.txt").write_text("precious")
    for name, left in (("own", []), ("shared", ["thesis.txt"])):
        run_training(config, masked, tmp_path / name, stop_after=1)
        (tmp_path / name / "state" / ".state.pt.abc.part").write_bytes(b"left by a kill")
        run_training(config, masked, tmp_path / name)
        assert [path.name for path in (tmp_path / name).glob("state/*")] == left
    assert not (tmp_path / "own" / "state").exists()


@pytest.mark.parametrize("changed", ["settings", "labels"])
def test_the_state_of_other_settings_or_labels_is_refused(masked, new_config, run_training, tmp_path, changed):
    config: RunConfig = new_config({"optim": {"steps": 2}})
    run_training(config, masked, tmp_path, stop_after=1)
    before = (tmp_path / "state" / "state.pt").read_bytes()
    other = replace(masked, images=(replace(masked.images[0], label_sha256="0" * 64), *masked.images[1:]))
    new = (config, other) if changed == "labels" else (new_config({"optim": {"steps": 3}}), masked)
    hashes = (masked.hash, other.hash) if changed == "labels" else (config.hash, new[0].hash)
    with pytest.raises(UserError) as error:
        run_training(*new, tmp_path)
    assert f"other {changed} (hash {hashes[0]}, now {hashes[1]})" in str(error.value)
    assert (tmp_path / "state" / "state.pt").read_bytes() == before
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.slow  # the compiler takes a minute
def test_compiled_networks_learn_the_same(masked, new_config, run_training, tmp_path):
    logs = []
    for compiled in (False, True):
        config = new_config({"model": {"dropout": 0.0}, "optim": {"compile": compiled}})
        logs.append(log_of(run_training(config, masked, tmp_path / str(compiled)).log)[0])
    assert logs[1] == pytest.approx(logs[0], rel=1e-3)


def test_a_compiler_that_fails_is_told_in_one_line(masked, new_config, run_training, tmp_path, monkeypatch):
    def failing(self, *arguments, **options):
        raise InvalidCxxCompiler

    monkeypatch.setattr("simformer.training.objective.Objective.forward", failing)
    with pytest.raises(UserError, match=r"^optim.compile: PyTorch cannot compile .*optim.compile: false"):
        run_training(new_config(), masked, tmp_path)


@pytest.mark.parametrize(("kind", "told"), [("cpu", "this processor .*fp32"), ("cuda", "Old GPU .*fp16")])
def test_bf16_is_refused_where_it_is_not_computed_in(monkeypatch, kind, told):
    monkeypatch.setattr("simformer.machine.devices.has_bf16", lambda device: False)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Old GPU")
    with pytest.raises(UserError, match=rf"^optim.precision: bf16, but {told}"):
        set_precision("bf16", torch.device(kind))
    set_precision("fp32", torch.device("cpu"))


def test_a_device_without_double_precision_trains_too(masked, new_config, run_training, tmp_path, monkeypatch):
    """As MPS does: the terms of the log are summed in single precision, the weights stay the same."""
    whole = run_training(new_config(), masked, tmp_path / "double")
    monkeypatch.setattr("simformer.training_step.sum_type", lambda device: torch.float32)
    single = run_training(new_config(), masked, tmp_path / "single")
    assert whole.model.read_bytes() == single.model.read_bytes()
    for a, b in zip(log_of(whole.log), log_of(single.log), strict=True):
        assert a == pytest.approx(b, rel=1e-5)
