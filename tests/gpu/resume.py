"""(b) A training that is killed goes on bit for bit, and two processes train what one does.

This process must not use the card: its forks do (see commands.py).
"""

from __future__ import annotations

import csv
import random
import re
import time
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file

from simformer.config.layers import RunConfig
from simformer.data.labels import LabelSet
from simformer.train import train
from simformer.training.job import Job, Runtime, TrainOutputs
from simformer.training.processes import Processes
from tests.gpu import commands
from tests.gpu.commands import POLL, determined, end, fork, kill, last_lines, start
from tests.gpu.report import Context, Report
from tests.gpu.scenes import Scenes, config, prepare, train_arguments

SCENES = {"train": 24, "test": 8}
KILLS = 2
RANK_STEPS = 5
ALIKE = {"optim.steps": RANK_STEPS, "optim.precision": "fp32", "model.dropout": 0.0}
"""Settings with which two processes do what one does; dropout would differ."""
WEIGHTS, LOSSES = 1e-3, 1e-4
"""Bounds for two processes in single precision, relative to one: all weights together, and the loss of each step."""


def run(context: Context, report: Report) -> None:
    """Run both halves."""
    seconds = max(10.0, 0.4 * report.left())
    scenes = report.attempt("scenes", lambda: prepare(context.folder / "scenes", SCENES, seconds))
    if scenes is None:
        return
    for precision in ("fp32", "bf16") if context.on_card and context.bf16 else ("fp32",):
        report.attempt(f"killed and resumed, {precision}", lambda p=precision: killed(context, report, scenes, p))
    report.attempt("two processes", lambda: two_processes(context, report, scenes), 5)


def killed(context: Context, report: Report, scenes: Scenes, precision: str) -> None:
    """Train twice undisturbed, and once killed again and again; the networks must be equal to the byte."""
    chosen, folder = config(context.sizes.resume | {"optim.precision": precision}), context.folder / precision
    calls = {
        name: train_arguments(scenes, chosen, folder / name, context.device, checkpoint_every=1)
        for name in ("whole", "again", "killed")
    }
    logs = {name: folder / f"{name}.log" for name in calls}
    undisturbed = {name: start(calls[name], logs[name], determined) for name in ("whole", "again")}
    steps = []
    chance = random.Random(0)
    for _ in range(KILLS):
        steps.append(
            _kill_amid(calls["killed"], logs["killed"], folder / "killed/state/state.pt", chance, report.left())
        )
    ends = {name: end(number, report.left()) for name, number in undisturbed.items()}
    ends["killed"] = end(start(calls["killed"], logs["killed"], determined), report.left())
    for name, status in ends.items():
        if status != 0:
            report.failed(f"training '{name}'", f"exit status {status}: {last_lines(logs[name])}")
            return
    models = {name: (folder / name / "model.safetensors").read_bytes() for name in calls}
    warned = _not_deterministic(logs["whole"])
    same = models["whole"] == models["again"]
    report.holds(f"two trainings give the same network ({precision}, deterministic mode)", same, warned)
    note = f"killed with signal 9 after steps {steps} of {chosen.settings.optim.steps}"
    same = models["whole"] == models["killed"]
    report.holds(f"a killed training gives the same network, bit for bit ({precision})", same, note)
    rows = {name: _log(folder / name) for name in calls}
    report.holds(f"... and the same log ({precision})", rows["whole"] == rows["killed"])


def _kill_amid(call: list[object], log: Path, state: Path, chance: random.Random, seconds: float) -> int:
    """Start a training, and kill it a moment after it has saved a further state; returns the step of the last one.

    Raises: RuntimeError if it ends before that.
    """
    process, known = start(call, log, determined), state.stat().st_mtime_ns if state.exists() else 0
    ends = time.monotonic() + seconds
    while not state.exists() or state.stat().st_mtime_ns == known:
        if time.monotonic() > ends:
            kill(process)
            raise RuntimeError(f"no state was saved in {seconds:.0f} s: {last_lines(log)}")
        time.sleep(POLL / 4)
    time.sleep(chance.uniform(0, POLL))
    status = kill(process)
    if status != -9:
        raise RuntimeError(f"the training ended with status {status} before it was killed: {last_lines(log)}")
    return torch.load(state, weights_only=True, map_location="cpu")["step"]


def _not_deterministic(log: Path) -> str:
    """Return which operations have said that they do not repeat themselves bit for bit."""
    found = re.findall(r"(\S+) does not have a deterministic implementation", log.read_text(errors="replace"))
    return f"without a deterministic form: {', '.join(sorted(set(found)))}" if found else ""


def _log(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def two_processes(context: Context, report: Report, scenes: Scenes) -> None:
    """Train some steps with one process and with two, and compare weights and losses."""
    chosen = config(context.sizes.resume | ALIKE)
    folder, log = context.folder, context.folder / "ranks.log"
    one = train_arguments(scenes, chosen, folder / "one", context.device)
    alone = start(one, folder / "one.log")
    if context.cards > 1:
        how = f"two of {context.cards} cards, nccl"
        two = train_arguments(scenes, chosen, folder / "two", "cuda", gpus=2)
        commands.run(two, log, report.left())
    else:
        how = f"two processes on one {'card' if context.on_card else 'CPU'}, gloo"
        _two_ranks(context, scenes, chosen, folder / "two", log, report.left())
    if end(alone, report.left()) != 0:
        raise RuntimeError(f"the training by one process failed: {last_lines(folder / 'one.log')}")
    weights = [load_file(folder / name / "model.safetensors") for name in ("one", "two")]
    flat = [torch.cat([w[key].double().flatten() for key in sorted(weights[0])]) for w in weights]
    error = float((flat[1] - flat[0]).norm() / flat[0].norm())
    report.check(f"weights after {RANK_STEPS} steps, {how}, against one process", error, "relative", at_most=WEIGHTS)
    rows = [_log(folder / name) for name in ("one", "two")]
    losses = [[float(row["total"]) for row in mine] for mine in rows]
    worst = max(abs(b - a) / abs(a) for a, b in zip(*losses, strict=True))
    report.check(f"losses, {how}, against one process", worst, "relative", at_most=LOSSES)


def _two_ranks(context: Context, scenes: Scenes, chosen: RunConfig, folder: Path, log: Path, seconds: float) -> None:
    """Train with two processes that share a device, which nccl refuses and gloo does not."""
    folder.mkdir()
    store = folder / "store"

    def rank(number: int) -> int:
        if context.on_card:
            torch.cuda.set_device(context.device)
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=number, world_size=2)
        outputs = TrainOutputs(*(folder / name for name in ("model.safetensors", "log.csv", "train.json")))
        runtime = Runtime(device=context.device)
        job = Job(scenes.data, LabelSet.load(scenes.labels), None, folder / "state", outputs, runtime)
        train(chosen, job, Processes(number, 2))
        dist.destroy_process_group()
        return 0

    ranks = [fork(lambda number=number: rank(number), log) for number in range(2)]
    ends = [end(process, seconds) for process in ranks]
    if ends != [0, 0]:
        raise RuntimeError(f"exit status {ends} of the two processes: {last_lines(log)}")
