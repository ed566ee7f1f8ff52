"""A step on a GPU looks at its values only when they are logged or saved; here a CPU plays the GPU."""

import math

import pytest
import torch

from simformer.build import build_training
from simformer.data.loader import training_steps
from simformer.errors import UserError
from simformer.losses.total import SimFormerLoss
from simformer.training.log import StepMeans
from simformer.training.processes import ALONE
from simformer.training_step import TrainingStep

STEPS = 4


def make_step(step, groups, number):
    """Do one step as the loop does."""
    terms = step.backward(groups, number)
    step.update(groups, number, terms, step.clip_gradient())


@pytest.fixture(params=["bf16", pytest.param("fp16", marks=pytest.mark.slow)])
def new_run(request, scenes, masked, new_config):
    """Factory of (step, its means, weights now, groups of every step); `waits` plays a GPU."""

    def make(waits, precision=request.param):
        config = new_config({"optim": {"steps": STEPS, "precision": precision}})
        training = build_training(config, scenes.data, masked, None, torch.device("cpu"))
        step = TrainingStep(training, config, means := StepMeans(), range(2), ALONE)
        step.waits = waits
        weights = lambda: {n: t.clone() for m in training.modules for n, t in m.named_parameters()}  # noqa: E731
        return step, means, weights, list(training_steps(training.groups, 2, 0, STEPS, 0))

    return make


def test_values_that_wait_are_those_that_do_not(new_run):
    results = []
    for waits in (False, True):
        step, means, weights, batches = new_run(waits)
        for number, groups in enumerate(batches):
            make_step(step, groups, number)
            assert len(means.rows) == (0 if waits else number + 1)
        step.settle()
        step.settle()
        results.append((means.rows, weights()))
    (rows, weights), (late_rows, late_weights) = results
    assert len(rows) == STEPS and str(rows) == str(late_rows)  # as text: with fp16 the first norms overflow to NaN
    assert all(torch.equal(weights[name], late_weights[name]) for name in weights)


@pytest.mark.parametrize(("term", "told"), [("dice", "dice = nan"), ("cls", "cls = inf")])
@pytest.mark.parametrize("waits", [False, True])
def test_an_update_that_is_not_finite_changes_no_weight_and_is_told_when_settled(
    new_run, monkeypatch, waits, term, told
):
    original, calls = SimFormerLoss.__call__, []

    def spoilt(self, *arguments, **options):
        terms = original(self, *arguments, **options)
        calls.append(1)
        return terms | {term: terms[term] * (math.nan if term == "dice" else math.inf)} if len(calls) == 2 else terms

    monkeypatch.setattr(SimFormerLoss, "__call__", spoilt)
    step, means, weights, batches = new_run(waits)
    make_step(step, batches[0], 0)
    before = weights()
    with pytest.raises(UserError, match=rf"^step 1: the loss is not finite: {told}\. Images of the batch: "):
        make_step(step, batches[1], 1)
        assert waits
        assert all(torch.equal(before[name], weight) for name, weight in weights().items())
        make_step(step, batches[2], 2)
        step.settle()
    assert len(means.rows) == 1
    if not waits:
        assert all(torch.equal(before[name], weight) for name, weight in weights().items())
    assert all(weight.isfinite().all() for weight in weights().values())
