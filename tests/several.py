"""What several processes compute together, in double precision, for comparison with one; also a script for torchrun.

`torchrun ... -m tests.several FOLDER` computes the cases of FOLDER/cases.pickle with all processes; process 0 writes
FOLDER/results.pt, the others nothing.
"""

import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from simformer.build import build_training
from simformer.config.layers import RunConfig
from simformer.data.labels import LabelSet
from simformer.data.loader import training_steps
from simformer.data.transforms import normalise
from simformer.train import collect_shares, train
from simformer.training.job import Job, Runtime, TrainOutputs
from simformer.training.log import TERMS, StepMeans
from simformer.training.processes import ALONE, Processes, join
from simformer.training.provenance import Meter
from simformer.training_step import TrainingStep

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """One thing to compute: the gradients of two steps, or, in a folder, a training.

    Attributes:
        config: the run.
        folder: of the training's state and outputs.
        stops: the training is stopped after so many steps and goes on, as often as there are numbers; None: to its end.
    """

    config: RunConfig
    folder: Path | None = None
    stops: tuple[int | None, ...] = (None,)


def compute(cases: Sequence[Case], data: Path, labels: LabelSet, processes: Processes = ALONE) -> list[Any]:
    """Compute cases in double precision; what the gradients were, None for a training."""
    with _double_precision():
        return [_compute(case, data, labels, processes) for case in cases]


def _compute(case: Case, data: Path, labels: LabelSet, processes: Processes) -> Any:
    if case.folder is None:
        return _gradients(case.config, data, labels, processes)
    outputs = TrainOutputs(*(case.folder / name for name in ("model.safetensors", "log.csv", "train.json")))
    for stop in case.stops:
        runtime = Runtime(log_every=2, stop_after=stop)
        train(case.config, Job(data, labels, None, case.folder / "state", outputs, runtime), processes)
    return None


def _gradients(config: RunConfig, data: Path, labels: LabelSet, processes: Processes) -> dict[str, Any]:
    """Gradients of the first two steps, both at the initial weights, and all else that they change."""
    optim = config.settings.optim
    training = build_training(config, data, labels, None, CPU)
    share = processes.share(optim)
    training_step = TrainingStep(training, config, StepMeans(), share, processes)
    batches = training_steps(training.groups, optim.batch_images // optim.group_images, 0, 2, 0, share)
    terms, gradients = [], []
    for step, groups in enumerate(batches):
        with processes.in_turn(training.simnet):
            own = training_step.backward(groups, step).tolist()
            terms.append(dict(zip(TERMS, processes.sum(own), strict=True)))
        found = {f"{k}.{n}": p.grad for k, m in enumerate(training.modules) for n, p in m.named_parameters()}
        gradients.append({name: grad if grad is None else grad.clone() for name, grad in found.items()})
    collect_shares(training, Meter(CPU), share, processes)
    buffers = {f"{k}.{n}": b for k, m in enumerate(training.modules) for n, b in m.named_buffers()}
    return {"terms": terms, "gradients": gradients, "buffers": buffers, "balances": training.loss.state_dict()}


@contextmanager
def _double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        with patch("simformer.training.objective.normalise", lambda images: normalise(images).double()):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def _record_writes(folder: Path) -> list[str]:
    """Return a list to which every file is added that this process opens for writing, or makes, below a folder."""
    written: list[str] = []

    def hook(event: str, arguments: tuple) -> None:
        writes = event in ("os.mkdir", "os.rename") or (
            event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if writes and str(arguments[0]).startswith(str(folder)):
            written.append(str(arguments[0]))

    sys.addaudithook(hook)
    return written


if __name__ == "__main__":
    torch.set_num_threads(1)
    root = Path(sys.argv[1])
    cases, data, labels = pickle.loads((root / "cases.pickle").read_bytes())
    with join(CPU) as processes:
        written = _record_writes(root)
        results = compute(cases, data, LabelSet.load(labels), processes)
        everything = {"results": results, "written": processes.gather(list(written))}
        if processes.rank == 0:
            torch.save(everything, root / "results.pt")
