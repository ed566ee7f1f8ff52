"""The training loop, readable top to bottom."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from simformer.build import Training, build_training, save_model
from simformer.checkpoint import load_state, remove_state, save_state
from simformer.config import RunConfig
from simformer.data.files import atomic_write_text
from simformer.data.labels import LabelSet
from simformer.data.loader import Group, training_steps
from simformer.data.transforms import normalise
from simformer.errors import UserError
from simformer.losses.mask import count_masks
from simformer.losses.total import total
from simformer.schedule import set_learning_rate
from simformer.trackers import TERMS, CsvLog, StepMeans, TensorBoardLog

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LOG_FILE = "log.csv"
"""Name of the growing log in the state directory."""


@dataclass(frozen=True)
class Runtime:
    """How to run, without influence on the result.

    Attributes:
        device: 'cpu', 'cuda' or 'cuda:1'.
        workers: data-loading processes; 0 loads in the training process.
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


class Interrupted(Exception):
    """Training stopped on a signal; its state is saved."""


def train(
    config: RunConfig,
    data: Path,
    labels: LabelSet,
    weights: Path | None,
    state: Path,
    outputs: TrainOutputs,
    runtime: Runtime,
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
    Raises: UserError (bad input, non-finite loss or gradient, full disk); Interrupted after a signal.
    """
    if not labels.images:
        raise UserError(f"{labels.root}: the label set has no images")
    device = torch.device(runtime.device)
    training = build_training(config, data, labels, weights, device)
    optim = config.settings.optim
    scaler = torch.amp.GradScaler(device.type, enabled=optim.precision == "fp16")
    means = StepMeans()
    parts = {
        "model": training.model,
        "optimizer": training.optimizer,
        "loss": training.loss,
        "scaler": scaler,
        "means": means,
    }
    if training.simnet is not None:
        parts["simnet"] = training.simnet
    identity = {"settings": config.hash, "labels": labels.hash, "initial weights": _file_hash(weights)}
    first = load_state(state, parts, identity)
    for module in training.modules:
        module.train()

    logs = [CsvLog(state / LOG_FILE, first)]
    if runtime.tensorboard:
        logs.append(TensorBoardLog(runtime.tensorboard, first))
    last = min(optim.steps, runtime.stop_after or optim.steps)
    steps = training_steps(training.groups, optim.batch_images // optim.group_images, first, last, runtime.workers)
    progress = tqdm(steps, desc=f"{config.method} seed {config.seed}", initial=first, total=optim.steps, mininterval=5)
    started = time.monotonic()
    with _stop_signal() as stopped:
        for step, groups in enumerate(progress, start=first):
            factor = set_learning_rate(training.optimizer, step, optim)
            terms = _backward(training, groups, scaler, config, step, device)
            means.add(terms | {"grad_norm": _update(training, groups, scaler, optim.clip_norm, step)})
            done = step + 1
            if done % runtime.log_every == 0 or done == optim.steps:
                row = means.take()
                seconds = time.monotonic() - started
                for log in logs:
                    log.write({"step": done, "lr": optim.lr * factor, **row, "seconds": seconds})
                progress.set_postfix_str(f"loss {row['total']:.3f}")
            stop = stopped()
            if stop or done % runtime.checkpoint_every == 0 or done == last:
                save_state(state, parts, done, identity)
            if stop:
                raise Interrupted(f"stopped on a signal after step {done}; run the same command to continue")
    for log in logs:
        log.close()
    if last == optim.steps:
        _finish(training, config, labels, state, outputs, time.monotonic() - started, first, device)


@dataclass(frozen=True)
class TrainOutputs:
    """Files written when a training ends: weights, log, facts about the run."""

    model: Path
    log: Path
    facts: Path

    def are_of(self, config: RunConfig) -> bool:
        """Return whether all are there, from a training with these settings."""
        there = all(path.exists() for path in (self.model, self.log, self.facts))
        return there and json.loads(self.facts.read_text(encoding="utf-8"))["hash"] == config.hash


def _backward(
    training: Training,
    groups: list[Group],
    scaler: torch.amp.GradScaler,
    config: RunConfig,
    step: int,
    device: torch.device,
) -> dict[str, float]:
    """Accumulate the gradient of one step; returns the weighted terms of the loss (Eq. 5) and their total."""
    optim = config.settings.optim
    per_forward = optim.groups_per_forward or len(groups)
    num_masks = count_masks([target for group in groups for target in group.targets])
    training.optimizer.zero_grad(set_to_none=True)
    sums = dict.fromkeys(TERMS, 0.0)
    for first in range(0, len(groups), per_forward):
        chunk = groups[first : first + per_forward]
        images = normalise(torch.cat([group.images for group in chunk]).to(device, non_blocking=True))
        targets = [target.to(device) for group in chunk for target in group.targets]
        with torch.autocast(device.type, PRECISIONS[optim.precision], enabled=optim.precision != "fp32"):
            output = training.model(images)
        seeds = [_sampling_seed(config.seed, step, first + i) for i in range(len(chunk))]
        try:
            terms = training.loss(
                output,
                targets,
                num_masks=num_masks,
                num_groups=len(groups),
                simnet=training.simnet,
                seeds=seeds,
                first_slot=first,
            )
        except FloatingPointError as error:
            raise _non_finite(str(error), chunk, step) from None
        values = torch.stack(list(terms.values())).detach().tolist()
        bad = [f"{name} = {value}" for name, value in zip(terms, values, strict=True) if not math.isfinite(value)]
        if bad:
            raise _non_finite(f"term(s) of the loss not finite: {', '.join(bad)}", chunk, step)
        for name, value in zip(terms, values, strict=True):
            sums[name] += value
        scaler.scale(total(terms)).backward()
    return {"total": math.fsum(sums.values()), **sums}


def _sampling_seed(seed: int, step: int, group: int) -> int:
    """Seed of the pixel sampling of one group: a function of (seed, step, group)."""
    return ((seed * 1_000_003 + step) * 1_009 + group) % 2**63


def _update(
    training: Training, groups: list[Group], scaler: torch.amp.GradScaler, clip_norm: float, step: int
) -> float:
    """Clip the global gradient norm over all networks together, and step; returns the norm.

    In fp16 the scaler skips a step whose gradient overflows; otherwise that is an error, before any weight
    is spoilt.
    """
    scaler.unscale_(training.optimizer)
    parameters = [p for module in training.modules for p in module.parameters() if p.requires_grad]
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, clip_norm))
    if not math.isfinite(norm) and not scaler.is_enabled():
        raise _non_finite(f"the gradient norm is {norm}", groups, step)
    scaler.step(training.optimizer)
    scaler.update()
    return norm


def _non_finite(what: str, groups: list[Group], step: int) -> UserError:
    names = ", ".join(name for group in groups for name in group.names)
    return UserError(
        f"step {step}: {what}. Images of the batch: {names}. Lower optim.lr, or set optim.precision: bf16 or fp32; "
        "the last saved state is untouched"
    )


def _file_hash(path: Path | None) -> str:
    if path is None:
        return "none"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _finish(
    training: Training,
    config: RunConfig,
    labels: LabelSet,
    state: Path,
    outputs: TrainOutputs,
    seconds: float,
    first: int,
    device: torch.device,
) -> None:
    steps = config.settings.optim.steps
    facts = {
        "hash": config.hash,
        "steps": steps,
        "resumed_at": first,
        "seconds": round(seconds, 1),
        "steps_per_second": round((steps - first) / seconds, 3) if seconds and steps > first else None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for m in training.modules for p in m.parameters() if p.requires_grad),
        "images": len(labels.images),
    }
    atomic_write_text(outputs.log, (state / LOG_FILE).read_text())
    atomic_write_text(outputs.facts, json.dumps(facts, indent=2) + "\n")
    save_model(outputs.model, training, config, labels)
    remove_state(state, LOG_FILE)


@contextmanager
def _stop_signal() -> Iterator:
    """Turn SIGTERM and SIGINT into a flag that the loop reads after each step."""
    received: list[int] = []
    handlers = {
        s: signal.signal(s, lambda number, frame: received.append(number)) for s in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
