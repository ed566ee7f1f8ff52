"""What trainings cost before they run: hours, if their speed was measured, and disk space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from simformer.baselines.responses import EXPANSIONS
from simformer.config.layers import RunConfig
from simformer.config.sources import archives
from simformer.study.catalogue import FULL_SPLIT, Catalogue, Cell
from simformer.study.speeds import Card, Facts, Measured, find_speed

MODEL_BYTES = {
    "resnet50": 166e6,
    "resnet18": 80e6,
    "mobilenet_v2": 75e6,
    "tiny": 3e6,
    "timm/swin_tiny_patch4_window7_224.ms_in1k": 168e6,
    "timm/convnext_tiny.fb_in1k": 169e6,
    "timm/vit_base_patch14_dinov2.lvd142m": 405e6,
}
"""Size of one trained model's file, about, by backbone."""
OTHER_MODEL_BYTES = 170e6
"""The same with another network of timm: a guess, that of the small ones of its families."""
MAP_BYTES = 280e3
"""Size of the class maps of one image at stride 4, about: eight classes at 640 x 480, half precision."""
LABEL_BYTES = 5e3
"""Size of one compressed label map, about (measured on 21 maps of COCO-Stuff)."""


def training_time(run: RunConfig, finished: Iterable[Facts], cards: Sequence[Card], gpu: bool) -> Measured | None:
    """Estimate the time of one training on one device, that of several being their sum; None if it was not measured.

    Args: see `find_speed`.
    """
    speed = find_speed(run, finished, cards, gpu)
    return speed and replace(speed, seconds=run.settings.optim.steps * speed.seconds)


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
    total = sum(MODEL_BYTES.get(catalogue.run(*cell).settings.model.backbone, OTHER_MODEL_BYTES) for cell in cells)
    for dataset in {dataset for dataset, *_ in cells}:
        mine = [cell for cell in cells if cell[0] == dataset]
        label_sets = {(split, "masked", 0) for _, split, *_ in mine}
        map_sets: set[tuple[str, str, str, int]] = set()
        for _, split, method, seed in mine:
            labels = catalogue.method(method).labels
            if labels == "fill":
                label_sets.add((split, "fill", 0))
            elif labels == "pseudo":
                chosen = catalogue.method(method)
                label_sets.add((split, f"{chosen.teacher}{chosen.pseudo.suffix}", seed))
            elif labels == "maps":
                label_sets.add((split, method, seed))
                maps = catalogue.method(method).mixed_maps
                used = seed if maps.seed is None else maps.seed
                map_sets.add((maps.response, "cam", FULL_SPLIT, used))
                if maps.expansion != "none":
                    place = split if EXPANSIONS[maps.expansion].base_masks else FULL_SPLIT
                    map_sets.add((maps.response, maps.expansion, place, used))
        images = catalogue.datasets[dataset].expect.train or 0
        total += images * (LABEL_BYTES * len(label_sets) + MAP_BYTES * len(map_sets))
    return total
