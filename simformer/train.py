"""The training loop, readable top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from tqdm import tqdm

from simformer.atomic import atomic_write_text
from simformer.build import Training, build_training, save_model
from simformer.config.layers import RunConfig
from simformer.data.labels import LabelSet
from simformer.data.loader import training_steps
from simformer.data.transfer import on_device
from simformer.errors import UserError
from simformer.machine.devices import set_precision
from simformer.machine.stop_signal import Stop, StopFlag, stop_flag, stopped_after
from simformer.text.json_text import json_text
from simformer.training.checkpoint import file_hash, load_state, remove_state, save_state
from simformer.training.log import CsvLog, StepMeans, TensorBoardLog
from simformer.training.processes import ALONE, Processes
from simformer.training.provenance import Meter, facts
from simformer.training.record import read_record
from simformer.training.schedule import set_learning_rate
from simformer.training_step import TrainingStep

Item = TypeVar("Item")
LOG_FILE = "log.csv"
"""Name of the growing log in the state directory."""


@dataclass(frozen=True)
class Runtime:
    """How to run, without influence on the result.

    Attributes:
        device: 'cpu', 'cuda' or 'cuda:1'.
        workers: data-loading processes of this process; 0 loads in the training process.
        checkpoint_every: steps between saved states.
        log_every: steps between log rows (each row is the mean over them).
        tensorboard: folder for TensorBoard events, None for none.
        stop_after: stop with a saved state after so many steps (tests of resuming); None to finish.
    """

    device: str = "cpu"
    workers: int = 0
    checkpoint_every: int = 500
    log_every: int = 20
    tensorboard: Path | None = None
    stop_after: int | None = None


def train(
    config: RunConfig,
    data: Path,
    labels: LabelSet,
    weights: Path | None,
    state: Path,
    outputs: TrainOutputs,
    runtime: Runtime,
    processes: Processes = ALONE,
) -> None:
    """Train one network, continuing from the state directory if it holds a state of the same settings.

    Args:
        config: the resolved run.
        data: folder of the prepared dataset (images only are read from it).
        labels: label set to train on.
        weights: initial backbone weights, None for random ones.
        state: directory of the resumable state and the growing log; removed when the outputs are written.
        outputs: files written at the end.
        runtime: device, workers, intervals.
        processes: those that train this network together (training/processes.py); by default this one alone.
    Raises: UserError (bad input, non-finite loss or gradient, full disk); Interrupted after a signal.
    """
    if not labels.images:
        raise UserError(f"{labels.root}: the label set has no images")
    device = torch.device(runtime.device)
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    optim = config.settings.optim
    set_precision(optim.precision, device)
    share = processes.share(optim)
    training = build_training(config, data, labels, weights, device)
    means, meter = StepMeans(), Meter(device)
    step = TrainingStep(training, config, means, share, processes)
    parts = {
        "model": training.model,
        "optimizer": training.optimizer,
        "loss": training.loss,
        "scaler": step.scaler,
        "means": means,
        "usage": meter,
    }
    if training.simnet is not None:
        parts["simnet"] = training.simnet
    identity = {"settings": config.hash, "labels": labels.hash, "initial weights": file_hash(weights)}
    first = load_state(state, parts, identity)

    logs = []
    if processes.rank == 0:
        logs.append(CsvLog(state / LOG_FILE, first))
        if runtime.tensorboard:
            logs.append(TensorBoardLog(runtime.tensorboard, first))
    last = min(optim.steps, runtime.stop_after or optim.steps)
    groups_per_step = optim.batch_images // optim.group_images
    batches = on_device(training_steps(training.groups, groups_per_step, first, last, runtime.workers, share), device)
    title = f"{config.method} seed {config.seed}"
    saved = first

    def save(done: int) -> None:
        """Save the state after so many steps, unless it has been."""
        nonlocal saved
        if done == saved:
            return
        step.settle()
        _collect(training, meter, share, processes)
        with processes.together():
            if processes.rank == 0:
                save_state(state, parts, done, identity)
        saved = done

    with stop_flag() as flag, closing(batches):
        progress = tqdm(
            range(first, last), title, initial=first, total=optim.steps, mininterval=5, disable=processes.rank > 0
        )
        for number in progress:
            groups = next_batch(batches, flag, save, number, processes)
            factor = set_learning_rate(training.optimizer, number, optim)
            with processes.in_turn(training.simnet):
                step(groups, number)
            meter.count()
            done = number + 1
            if done % runtime.log_every == 0 or done == optim.steps:
                step.settle()
                row = means.take()
                meter.sample()
                with processes.together():
                    for log in logs:
                        log.write({"step": done, "lr": optim.lr * factor, **row, "seconds": meter.seconds})
                progress.set_postfix_str(f"loss {row['total']:.3f}")
            if done % runtime.checkpoint_every == 0 or done == last:
                save(done)
        for log in logs:
            log.close()
        if last == optim.steps:
            _, number = processes.share_end(None, flag.number)
            if number:
                raise stopped_after(last, number)
            gpus = processes.gather(torch.cuda.get_device_name(device) if device.type == "cuda" else None)
            with processes.together():
                if processes.rank == 0:
                    _finish(training, config, labels, state, outputs, {"resumed_at": first} | facts(meter.total, gpus))


def next_batch(
    batches: Iterator[list[Item]],
    flag: StopFlag,
    save: Callable[[int], None],
    step: int,
    processes: Processes = ALONE,
) -> list[Item]:
    """Wait for the batch of a step; what ends the training meanwhile, or came during the step before, ends it here.

    Args:
        batches: of all steps; those of the steps before have been taken.
        flag: whether a signal has come.
        save: saves the state after so many steps.
        step: number of finished steps.
        processes: those that train together; all of them end.
    Raises: what has failed, or Interrupted, after the state of all finished steps has been saved.
    """
    batch, failure = [], None
    try:
        with flag.while_waiting():
            batch = next(batches)
    except Stop:
        pass
    except Exception as error:
        failure = error
    failure, number = processes.share_end(failure, flag.number)
    try:
        if failure is not None or number:
            save(step)
            raise failure or stopped_after(step, number)
    finally:
        del failure  # its traceback leads back to this frame, and would keep all that the block has used
    return batch


@dataclass(frozen=True)
class TrainOutputs:
    """Files written when a training ends: weights, log, facts about the run."""

    model: Path
    log: Path
    facts: Path

    def are_of(self, config: RunConfig) -> bool:
        """Return whether all are there, from a training with these settings."""
        there = all(path.exists() for path in (self.model, self.log, self.facts))
        return there and read_record(self.facts)["hash"] == config.hash


def _collect(training: Training, meter: Meter, share: range, processes: Processes) -> None:
    """Bring together what each process knows for itself: its pair balances, and what it has taken."""
    meter.update(processes.gather(meter.own()))
    if processes.size > 1:
        mine = {slot: counts for slot, counts in training.loss.state_dict().items() if int(slot) in share}
        training.loss.load_state_dict({slot: c for part in processes.gather(mine) for slot, c in part.items()})


def _finish(
    training: Training, config: RunConfig, labels: LabelSet, state: Path, outputs: TrainOutputs, facts: dict[str, Any]
) -> None:
    facts = {
        "hash": config.hash,
        "steps": config.settings.optim.steps,
        "images": len(labels.images),
        "parameters": sum(p.numel() for m in training.modules for p in m.parameters() if p.requires_grad),
        **facts,
    }
    atomic_write_text(outputs.log, (state / LOG_FILE).read_text())
    atomic_write_text(outputs.facts, json_text(facts, indent=2) + "\n")
    save_model(outputs.model, training, config, labels)
    remove_state(state, LOG_FILE)
