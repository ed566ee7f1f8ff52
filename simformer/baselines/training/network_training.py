"""A resumable training loop for the baselines' networks: steps, log, saved state, stop signals."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset
from tqdm import tqdm

from simformer.atomic import atomic_write_text
from simformer.baselines.settings import NetworkSpec
from simformer.baselines.training.network_file import write_network
from simformer.data.identity import Identity
from simformer.data.loader import training_steps
from simformer.errors import UserError
from simformer.machine.stop_signal import stop_flag, stopped_after
from simformer.text.json_text import json_text
from simformer.train import LOG_FILE, Runtime, TrainOutputs, next_batch
from simformer.training.checkpoint import Stateful, load_state, remove_state, save_state
from simformer.training.log import CsvLog, StepMeans

COLUMNS = ("step", "lr", "loss", "grad_norm", "seconds")


@dataclass(frozen=True)
class NetworkTraining:
    """What the loop runs.

    Attributes:
        network: trained in train mode; its state dict becomes the file.
        optimizer: over its parameters.
        spec: settings; the file holds them.
        samples: item n is a pure function of (seed, n); each has a `name`.
        steps: T; step t takes the items [t B, (t + 1) B) with B = spec.settings.batch_images.
        advance: called with (step, its items); makes the step and returns the values to be logged, those of
            `sgd_step`. May raise FloatingPointError.
        identity: of the labels, for the file.
        inputs: hashes of everything else that decides the result, by name: labels, initial weights.
        columns: further values that `advance` returns and the log keeps.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    spec: NetworkSpec
    samples: Dataset
    steps: int
    advance: Callable[[int, list[Any]], dict[str, float]]
    identity: Identity
    inputs: dict[str, str]
    columns: tuple[str, ...] = ()


def run_training(training: NetworkTraining, state: Path, outputs: TrainOutputs, runtime: Runtime) -> None:
    """Train a network, continuing from the state directory if it holds a state of the same settings.

    Args:
        training: network, data and step.
        state: directory of the resumable state and the growing log; removed when the outputs are written.
        outputs: files written at the end: network, log, facts.
        runtime: device, workers, intervals (TensorBoard is not offered here).
    Raises: UserError (non-finite loss, full disk, a state of other settings); Interrupted after a signal.
    """
    batch, last = training.spec.settings.batch_images, min(training.steps, runtime.stop_after or training.steps)
    means = StepMeans()
    parts: dict[str, Stateful] = {"network": training.network, "optimizer": training.optimizer, "means": means}
    identity = {"settings": training.spec.hash, **training.inputs}
    first = load_state(state, parts, identity)
    training.network.train()
    log = CsvLog(state / LOG_FILE, first, (*COLUMNS, *training.columns))
    batches = training_steps(training.samples, batch, first, last, runtime.workers)
    title = f"{training.spec.kind} seed {training.spec.seed}"
    started, saved = time.monotonic(), first

    def save(done: int) -> None:
        """Save the state after so many steps, unless it has been."""
        nonlocal saved
        if done != saved:
            save_state(state, parts, done, identity)
        saved = done

    with stop_flag() as flag, closing(batches):
        progress = tqdm(range(first, last), title, initial=first, total=training.steps, mininterval=5)
        for step in progress:
            means.add(_advance(training, step, next_batch(batches, flag, save, step)))
            done = step + 1
            if done % runtime.log_every == 0 or done == training.steps:
                row = means.take()
                log.write({"step": done, **row, "seconds": time.monotonic() - started})
                progress.set_postfix_str(f"loss {row['loss']:.4f}")
            if done % runtime.checkpoint_every == 0 or done == last:
                save(done)
        log.close()
        if last == training.steps:
            if flag.number:
                raise stopped_after(last, flag.number)
            _finish(training, state, outputs, time.monotonic() - started, first, runtime)


def _advance(training: NetworkTraining, step: int, samples: list[Any]) -> dict[str, float]:
    try:
        return training.advance(step, samples)
    except FloatingPointError as error:
        names = ", ".join(sample.name for sample in samples)
        raise UserError(
            f"{training.spec.kind}, step {step}: not finite ({error}). Images of the batch: {names}. Lower "
            f"baselines.{training.spec.kind}.lr; the last saved state is untouched"
        ) from None


def _finish(
    training: NetworkTraining, state: Path, outputs: TrainOutputs, seconds: float, first: int, runtime: Runtime
) -> None:
    device = torch.device(runtime.device)
    facts = {
        "hash": training.spec.hash,
        "steps": training.steps,
        "resumed_at": first,
        "seconds": round(seconds, 1),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in training.network.parameters() if p.requires_grad),
    }
    atomic_write_text(outputs.log, (state / LOG_FILE).read_text())
    atomic_write_text(outputs.facts, json_text(facts, indent=2) + "\n")
    write_network(outputs.model, training.network, training.spec, training.identity)
    remove_state(state, LOG_FILE)
