"""What trainings cost before they are run: hours and disk. Measured where a finished run can tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from simformer.catalogue import Catalogue, Cell
from simformer.config import RunConfig
from simformer.sources import archives

GPU_MEGAPIXELS = {"resnet50": 4.0, "resnet18": 10.0, "mobilenet_v2": 10.0, "tiny": 40.0}
"""Assumed training speed on one GPU, megapixels (crop x crop x images) per second; stated, not measured."""
CPU_MEGAPIXELS = {"resnet50": 0.05, "resnet18": 0.15, "mobilenet_v2": 0.25, "tiny": 0.5}
"""The same on one CPU core; `tiny` and `mobilenet_v2` from logs of the demo and of MSRC-21, the others are guesses."""
MODEL_BYTES = {"resnet50": 166e6, "resnet18": 80e6, "mobilenet_v2": 75e6, "tiny": 3e6}
"""Size of one trained model's file, about."""
MAP_BYTES = 280e3
"""Size of the class maps of one image at stride 4, about: eight classes at 640 x 480, half precision."""
LABEL_BYTES = 5e3
"""Size of one compressed label map, about (measured on 21 maps of COCO-Stuff)."""

Facts = Mapping[str, Any]
"""Content of a finished run's train.json."""


@dataclass(frozen=True)
class Hours:
    """Training time of one run; `measured` tells a finished run's speed from the stated assumption."""

    hours: float
    measured: bool


def training_time(run: RunConfig, finished: Iterable[Facts], gpu: bool) -> Hours:
    """Estimate the time of one training on one device; that of a finished run on several is their sum.

    Args:
        run: its settings.
        finished: facts of finished runs of the same dataset and method; the last that tells its speed counts,
            if it ran on the same kind of device.
        gpu: whether a GPU will train, or a CPU core.
    """
    optim = run.settings.optim
    speeds = [
        f["steps_per_second"] / f.get("processes", 1)
        for f in finished
        if (f["device"] != "cpu") == gpu and 0 < (f.get("steps_per_second") or 0) < math.inf
    ]
    if speeds:
        return Hours(optim.steps / speeds[-1] / 3600, True)
    assumed = (GPU_MEGAPIXELS if gpu else CPU_MEGAPIXELS)[run.settings.model.backbone]
    megapixels = optim.steps * optim.batch_images * run.settings.augment.crop**2 / 1e6
    return Hours(megapixels / assumed / 3600, False)


def training_images(run: RunConfig) -> int:
    """Return how many images a training sees, repetitions included."""
    return run.settings.optim.steps * run.settings.optim.batch_images


def disk_bytes(catalogue: Catalogue, cells: Iterable[Cell]) -> float:
    """Estimate what some trainings and the datasets behind them take on disk, about."""
    cells = list(cells)
    return result_bytes(catalogue, cells) + data_bytes(catalogue, {dataset for dataset, *_ in cells})


def data_bytes(catalogue: Catalogue, datasets: Iterable[str]) -> float:
    """Estimate what some datasets take on disk, about; unknown sizes count as 0.

    A dataset counts with the published size of its archives (images are not re-encoded) and its label maps.
    """
    files = [catalogue.datasets[dataset] for dataset in datasets]
    return sum(
        (file.expect.train or 0) * LABEL_BYTES + sum(archive.size or 0 for archive in archives(file.source).values())
        for file in files
    )


def result_bytes(catalogue: Catalogue, cells: Iterable[Cell]) -> float:
    """Estimate what the results of some trainings take on disk, about: models and label sets.

    A split counts with one label map per training image, as does every derived label set; class maps count per
    image. An unknown number of images counts as 0.
    """
    cells = list(cells)
    total = sum(MODEL_BYTES[catalogue.run(*cell).settings.model.backbone] for cell in cells)
    for dataset in {dataset for dataset, *_ in cells}:
        mine = [cell for cell in cells if cell[0] == dataset]
        label_sets = {(split, "masked", 0) for _, split, *_ in mine}
        map_sets: set[tuple[str, int]] = set()
        for _, split, method, seed in mine:
            labels = catalogue.method(method).labels
            if labels == "fill":
                label_sets.add((split, "fill", 0))
            elif labels == "pseudo":
                label_sets.add((split, catalogue.method(method).teacher or "", seed))
            elif labels == "maps":
                label_sets.add((split, method, seed))
                stages = {"cam", catalogue.method(method).maps.expansion} - {"none"}
                place = {"retab": f" {split}"}  # the other maps serve every split
                map_sets |= {(stage + place.get(stage, ""), seed) for stage in stages}
        images = catalogue.datasets[dataset].expect.train or 0
        total += images * (LABEL_BYTES * len(label_sets) + MAP_BYTES * len(map_sets))
    return total
