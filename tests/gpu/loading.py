"""(d) How long a training waits for its images: JPEG files are decoded and augmented as in the paper."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import closing

import torch

from simformer.build import build_training
from simformer.config.layers import RunConfig
from simformer.config.settings import TrainSettings
from simformer.data.loader import training_steps
from simformer.data.transfer import on_device
from tests import workloads
from tests.gpu.photographs import Photographs
from tests.gpu.report import Context, Report
from tests.gpu.speed import free, photographs
from tests.gpu.stages import dataset_file
from tests.gpu.timing import tf32, wait_for

WAIT = 0.05
"""Share of a step that loading is to cost at most, with the best number of loading processes."""
FIRST = 4
"""Steps at the beginning that do not count: memory is allocated, queues fill."""


def run(context: Context, report: Report) -> None:
    """Measure how fast images are made, then a training with several numbers of loading processes."""
    case = workloads.resized(workloads.CASES[context.sizes.cases[0]], images=context.sizes.images)
    shots = report.attempt("synthetic photographs", lambda: photographs(context, case))
    if shots is None:
        return
    chosen = settings(case)
    report.attempt("one process", lambda: alone(context, report, case, chosen, shots))
    allowed = chosen.settings.optim.precision != "fp32"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [count for count in context.sizes.workers if count <= max(1, cores)]
    shares = {}
    for number, count in enumerate(counts):
        seconds = report.left() / (len(counts) - number + 0.5)
        with tf32(allowed):
            found = report.attempt(
                f"{count} loading processes",
                lambda count=count, seconds=seconds: waiting(context, report, case, chosen, shots, count, seconds),
                needs=3,
            )
        if found is not None:
            shares[count] = found
        free(context)
    if not context.on_card:
        report.missing("share of a step that loading costs", "a CPU that trains has no core left for loading")
    elif shares:
        best = min(shares, key=shares.__getitem__)
        note = f"with {best} loading processes; the card's host has {cores} cores"
        report.target("share of a step that loading costs, the best", shares[best], "of 1", at_most=WAIT, note=note)


def settings(case: workloads.Case) -> RunConfig:
    """Return the case's SimFormer with the augmentation of its dataset's file."""
    config = case.config("simformer")
    content = config.settings.model_dump()
    content["augment"] = dataset_file(case).get("settings", {}).get("augment", {}) | {"crop": case.crop}
    return config.model_copy(update={"settings": TrainSettings.model_validate(content)})


def alone(
    context: Context, report: Report, case: workloads.Case, chosen: RunConfig, shots: Photographs, pairs: int = 8
) -> None:
    """Tell how many images one process decodes, augments and labels in a second."""
    groups = build_training(chosen, shots.data, shots.weak, None, torch.device("cpu")).groups
    pairs = pairs if context.on_card else 2
    times = []
    for number in range(pairs):
        started = time.perf_counter()
        groups[number]
        times.append((time.perf_counter() - started) / 2)
    median = statistics.median(times)
    height, width = context.sizes.photograph
    note = f"JPEG of {width} x {height}, crop {case.crop}, {1000 * median:.1f} ms each"
    report.number("images that one process decodes and augments", 1 / median, "images/s", note)


def waiting(
    context: Context,
    report: Report,
    case: workloads.Case,
    chosen: RunConfig,
    shots: Photographs,
    count: int,
    seconds: float,
) -> float:
    """Train some steps, as the loop does; returns the share of their time that the loading costs.

    That is what the steps take more than steps on images that are on the device already. The host's wait for a batch
    alone says less: the card works on the step before meanwhile.
    """
    device, began = torch.device(context.device), time.monotonic()
    training = build_training(chosen, shots.data, shots.weak, None, device)
    step = workloads.Step(chosen, training, [])
    last = FIRST + context.sizes.steps
    waited, starts, kept = [], [], []
    loaded = on_device(training_steps(training.groups, case.images // 2, 0, last, count), device)
    with closing(loaded) as batches:
        while len(starts) < last and (len(starts) <= FIRST or time.monotonic() - began < 0.6 * seconds):
            starts.append(time.perf_counter())
            kept.append(next(batches))
            waited.append(time.perf_counter() - starts[-1])
            step.groups = kept[-1]
            step()
    wait_for(context.device)
    starts.append(time.perf_counter())
    steps = len(waited) - FIRST
    whole = starts[-1] - starts[FIRST]
    step.terms()
    started = time.perf_counter()
    for groups in kept[FIRST:]:
        step.groups = groups
        step()
    wait_for(context.device)
    alone_seconds = time.perf_counter() - started
    share = max(0.0, 1 - alone_seconds / whole)
    milliseconds = f"{1000 * whole / steps:.0f} ms each, {1000 * alone_seconds / steps:.0f} without loading"
    waiting_share = f"the host waited {100 * sum(waited[FIRST:]) / whole:.0f} %"
    note = f"{steps} steps of {case.images} images, {milliseconds}; {waiting_share}"
    report.number(f"share of a step that loading costs, {count} loading processes", share, "of 1", note)
    return share
