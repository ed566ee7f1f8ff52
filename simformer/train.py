"""The training loop, readable top to bottom."""

from __future__ import annotations

import os
from functools import partial

import torch

from simformer.build import Training, build_training, save_model
from simformer.config.layers import RunConfig
from simformer.data.loader import training_steps
from simformer.data.transfer import on_device
from simformer.errors import UserError
from simformer.machine.devices import gpu_name, set_precision
from simformer.training.checkpoint import Stateful
from simformer.training.job import Job
from simformer.training.log import StepMeans
from simformer.training.loop import Loop
from simformer.training.processes import ALONE, Processes
from simformer.training.provenance import Meter, facts
from simformer.training.schedule import set_learning_rate
from simformer.training_step import TrainingStep


def train(config: RunConfig, job: Job, processes: Processes = ALONE) -> None:
    """Train one network, continuing from the state directory if it holds a state of the same settings.

    Args:
        config: the resolved run.
        job: its data, labels, initial weights, state, outputs and runtime.
        processes: those that train this network together (training/processes.py); by default this one alone.
    Raises: UserError (bad input, non-finite loss or gradient, full disk); Interrupted after a signal.
    """
    if not job.labels.images:
        raise UserError(f"{job.labels.root}: the label set has no images")
    device, optim = job.device, config.settings.optim
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    set_precision(optim.precision, device)
    share = processes.share(optim)
    training = build_training(config, job.data, job.labels, job.weights, device)
    means, meter = StepMeans(), Meter(device)
    step = TrainingStep(training, config, means, share, processes)

    def collect() -> None:
        step.settle()
        collect_shares(training, meter, share, processes)

    parts: dict[str, Stateful] = {
        "model": training.model,
        "optimizer": training.optimizer,
        "loss": training.loss,
        "scaler": step.scaler,
    }
    parts |= {"means": means, "usage": meter}
    if training.simnet is not None:
        parts["simnet"] = training.simnet
    title = f"{config.method} seed {config.seed}"
    told = config.model_dump(mode="json", include={"novel"})
    loop = Loop(title, optim.steps, job, parts, config.hash, collect=collect, processes=processes, told=told)
    count = optim.batch_images // optim.group_images
    batches = training_steps(training.groups, count, loop.first, loop.last, job.runtime.workers, share)

    with loop.over(on_device(batches, device)) as steps:
        for number, groups in steps:
            factor = set_learning_rate(training.optimizer, number, optim)
            with processes.in_turn(training.simnet):
                terms = step.backward(groups, number)
                norm = step.clip_gradient()
                step.update(groups, number, terms, norm)
            meter.count()
            if loop.log_due(number):
                step.settle()
                meter.sample()
                row = {"lr": optim.lr * factor, **means.take(), "seconds": meter.seconds}
                loop.log(number, row, f"{row['total']:.3f}")
            if loop.save_due(number):
                loop.save(number + 1)
        if loop.complete():
            gpus = processes.gather(gpu_name(device))
            size = {"images": len(job.labels.images), "parameters": sum(p.numel() for p in step.parameters)}
            labels = {"labels": os.path.relpath(job.labels.root, job.outputs.facts.parent)}
            write = partial(save_model, training=training, config=config, labels=job.labels, inference=job.inference)
            loop.finish(labels | size | facts(meter.total, gpus), write)


def collect_shares(training: Training, meter: Meter, share: range, processes: Processes) -> None:
    """Combine what each process has counted by itself: its pair balances, and the time and memory that it took."""
    meter.update(processes.gather(meter.own()))
    if processes.size > 1:
        mine = {slot: counts for slot, counts in training.loss.state_dict().items() if int(slot) in share}
        training.loss.load_state_dict({slot: c for part in processes.gather(mine) for slot, c in part.items()})
