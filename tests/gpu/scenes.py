"""Scenes and settings of the hard demo, made by the real commands: what the parts on resuming and the demo train."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simformer.config.layers import RunConfig
from simformer.study.catalogue import Catalogue
from tests.gpu.commands import run
from tests.gpu.report import ROOT

DATASET, SPLIT, METHOD = "scenes", "split1", "simformer"
STUDY = ROOT / "config/demo_hard.yaml"


@dataclass(frozen=True)
class Scenes:
    """Prepared scenes.

    Attributes:
        folder: of everything below.
        data: in the prepared layout.
        index: audited.
        split: the demo's.
        labels: with hidden novel pixels.
        inference: test-time sizes, JSON.
    """

    folder: Path
    data: Path
    index: Path
    split: Path
    labels: Path
    inference: str


def prepare(folder: Path, changes: Mapping[str, Any], seconds: float) -> Scenes:
    """Make the demo's scenes and labels with the commands that its rules call.

    Args:
        folder: new files go there.
        changes: of the scenes' source, e.g. {'train': 24}.
        seconds: each command may take.
    """
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = Catalogue.read(STUDY)
    dataset = catalogue.datasets[DATASET]
    made = Scenes(
        folder,
        folder / "data",
        folder / "index.json",
        folder / "split.yaml",
        folder / "weak" / "labels.json",
        dataset.inference.model_dump_json(),
    )
    source, log = json.dumps(dataset.source.model_dump(mode="json") | changes), folder / "prepare.log"
    spec = catalogue.split_json(DATASET, SPLIT)
    data, index = ("--data", made.data), ("--index", made.index)
    run(["prepare", "--source", source, "--output", made.data], log, seconds)
    run(["audit", *data, *index, "--report", folder / "audit.json", "--expect", "{}"], log, seconds)
    run(["split", *data, "--spec", spec, "--output", made.split], log, seconds)
    run(["mask_labels", *data, *index, "--split", made.split, "--output", made.labels.parent], log, seconds)
    return made


def config(changes: Mapping[str, Any]) -> RunConfig:
    """Return the demo's SimFormer, seed 0.

    Args:
        changes: of its settings, with dotted keys, e.g. {'optim.steps': 8}.
    """
    return RunConfig.from_flat(Catalogue.read(STUDY).run(DATASET, SPLIT, METHOD, 0).flat() | changes, str(STUDY))


def train_arguments(scenes: Scenes, chosen: RunConfig, folder: Path, device: str, **options: object) -> list[object]:
    """Save a configuration in a folder, and return the command line that trains it there."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen.save(folder / "config.yaml")
    given = {
        "config": folder / "config.yaml",
        "data": scenes.data,
        "labels": scenes.labels,
        "state": folder / "state",
        "model": folder / "model.safetensors",
        "log": folder / "log.csv",
        "facts": folder / "train.json",
        "device": device,
    } | options
    return ["train", *(text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", value))]
