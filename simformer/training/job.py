"""One training as a job: what it reads and writes, and how it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from simformer.config.settings import InferenceSettings
from simformer.data.labels import LabelSet
from simformer.training.record import read_record


@dataclass(frozen=True)
class Runtime:
    """How to run, without influence on the result.

    Attributes:
        device: 'cpu', 'cuda' or 'cuda:1'.
        workers: data-loading processes of this process; 0 loads in the training process.
        checkpoint_every: steps between saved states.
        log_every: steps between log rows (each row is the mean over them).
        tensorboard: folder for TensorBoard events, None for none; the baselines' networks have none.
        stop_after: stop with a saved state after so many steps (tests of resuming); None to finish.
    """

    device: str = "cpu"
    workers: int = 0
    checkpoint_every: int = 500
    log_every: int = 20
    tensorboard: Path | None = None
    stop_after: int | None = None


@dataclass(frozen=True)
class TrainOutputs:
    """Files written when a training ends: weights, log, facts about the run."""

    model: Path
    log: Path
    facts: Path

    def are_of(self, settings: str) -> bool:
        """Return whether all are there, from a training with the settings of a hash."""
        there = all(path.exists() for path in (self.model, self.log, self.facts))
        return there and read_record(self.facts)["hash"] == settings


@dataclass(frozen=True)
class Job:
    """What a training reads and writes, and how it runs.

    Attributes:
        data: folder of the prepared dataset (images only are read from it).
        labels: label set to train on.
        weights: initial backbone weights, None for random ones.
        state: directory of the resumable state and the growing log; removed when the outputs are written.
        outputs: files written at the end.
        runtime: device, workers, intervals.
        inference: test-time sizes that the model file holds for predictions; None if not known.
    """

    data: Path
    labels: LabelSet
    weights: Path | None
    state: Path
    outputs: TrainOutputs
    runtime: Runtime
    inference: InferenceSettings | None = None

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return torch.device(self.runtime.device)
