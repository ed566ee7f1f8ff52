"""RIB's class maps of the training images, made from a trained classifier in any number of shards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.atomic import atomic_write_text
from simformer.baselines.class_maps.cam import (
    GRID_STRIDE,
    divide_by_maximum,
    equal_sizes,
    inference_size,
    mirrored_views,
    resized,
)
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob, MapSet
from simformer.baselines.classifier import load_classifier
from simformer.baselines.rib.others import FreshCrops, Pool, image_rng
from simformer.baselines.rib.pooling import ABSENT, PRESENT, SHARED
from simformer.baselines.rib.settings import RibSettings
from simformer.baselines.rib.tuning import STAGES, Plan, Rows, Trajectory, cut, fine_tune
from simformer.baselines.settings import CamSettings
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage, LabelSet, present_classes, unknown_classes
from simformer.text.json_text import json_text
from simformer.text.strict_json import read_generated


@dataclass(frozen=True)
class Tuner:
    """A classifier ready to be fine-tuned on single images.

    Attributes:
        constant, tuned: its two parts, in eval mode.
        others: source of other images, None without any.
        settings: of the fine-tuning.
        cam: sizes and scales.
        seed: of all draws.
    """

    constant: torch.nn.Module
    tuned: torch.nn.Module
    others: FreshCrops | Pool | None
    settings: RibSettings
    cam: CamSettings
    seed: int
    device: torch.device

    def trajectories(self, data: Path, images: list[LabelledImage], num_classes: int) -> list[Trajectory]:
        """Fine-tune on images of one size, side by side.

        Args:
            data: folder of the prepared dataset.
            images: M images.
            num_classes: K.
        """
        size = inference_size(images[0].height, images[0].width, self.cam)
        pixels = [resized(data, image, size) for image in images]
        present = torch.from_numpy(present_classes(images, num_classes))
        with torch.no_grad():
            views = [
                torch.stack([self.constant(mirrored_views([image], scale, self.device)) for image in pixels])
                for scale in self.cam.scales
            ]
        goal = present.float() if self.settings.goal == "present" else self._absent(images, present)
        goal = goal.masked_fill(torch.from_numpy(unknown_classes(images, num_classes)), SHARED)

        def others(iteration: int) -> Rows | None:
            if self.others is None:
                return None
            drawn = [self.others.draw(image, iteration) for image in images]
            return torch.stack([f for f, _ in drawn]), torch.stack([t for _, t in drawn])

        plan = Plan.of(self.settings, self.cam.scales)
        present, goal = (tensor.to(self.device) for tensor in (present, goal))
        return fine_tune(self.tuned, views, present, goal, others, self.settings, plan)

    def _absent(self, images: list[LabelledImage], present: Tensor) -> Tensor:
        """Labels with one class per image that is known to be absent, the same in every shard."""
        goal = torch.full(present.shape, ABSENT)
        for row, image in zip(goal, images, strict=True):
            absent = sorted(set(range(len(row))) - set(image.classes) - set(image.unknown))
            if absent:
                row[image_rng(self.seed, image.name, self.settings.iterations).choice(absent)] = PRESENT
        return goal

    def class_maps(self, image: LabelledImage, trajectory: Trajectory) -> ClassMaps:
        """Sum a trajectory's maps over scales on a grid of stride 4, each class divided by its maximum."""
        size = inference_size(image.height, image.width, self.cam)
        grid = tuple(math.ceil(side / GRID_STRIDE) for side in size)
        total = torch.zeros((), device=self.device)
        for maps in trajectory.maps:
            total = total + F.interpolate(maps[None], size=grid, mode="bilinear", align_corners=False)
        scores = divide_by_maximum(total[0, list(image.classes)]).cpu()
        return ClassMaps(image.classes, scores, GRID_STRIDE, size)


def load_tuner(
    path: Path, data: Path, labels: LabelSet, settings: RibSettings, cam: CamSettings, device: torch.device
) -> tuple[Tuner, str]:
    """Read a classifier and cut it as a tier wants it; returns it with the hashes of what its maps are made from.

    Args:
        path: network file of the classifier.
        data: folder of the prepared dataset.
        labels: all images with their image-level labels; other images are drawn from them.
        settings, cam: see `Tuner`.
        device: of the network.
    Raises: UserError if the classifier was trained on other classes.
    """
    network, stored = load_classifier(path, device)
    require_split(stored.identity, labels.identity)
    training, seed = stored.spec.settings, stored.spec.seed
    constant, tuned = cut(network, STAGES - 1 if settings.tier == "fast" else min(training.frozen_stages, STAGES - 1))
    others: FreshCrops | Pool | None = None
    if settings.other_images:
        others = FreshCrops(data, labels, training, settings.other_images, settings.candidates, seed, constant, device)
        others = others if settings.tier == "exact" else Pool(others, settings.pool)
    source = f"{stored.hash} {labels.hash} {cam.model_dump_json()}"
    return Tuner(constant, tuned, others, settings, cam, seed, device), source


def rib_maps(path: Path, settings: RibSettings, cam: CamSettings, facts: Path, job: MapJob) -> MapSet:
    """Write RIB's maps for a shard of the images, and what their fine-tunings were like.

    Args:
        path, settings, cam: see `load_tuner`.
        facts: JSON to write; beside the maps lies one such file per image, in `tuning/`.
        job: the images.
    """
    labels, root = job.labels, job.manifest.parent
    tuner, source = load_tuner(path, job.data, labels, settings, cam, job.device)

    def compute(images: list[LabelledImage]) -> Iterator[tuple[LabelledImage, ClassMaps]]:
        for batch in equal_sizes(images, settings.images_at_once):
            for image, found in zip(batch, tuner.trajectories(job.data, batch, len(labels.classes)), strict=True):
                record = {"logits": found.logits, "stopped": found.stopped, "exploded": found.exploded}
                atomic_write_text(tuning_path(root, image), json_text(record) + "\n", durable=False)
                yield image, tuner.class_maps(image, found)

    written = job.write(source, settings, compute)
    mine = [labels.images[i] for i in job.shard.positions(len(labels.images))]
    each = [read_tuning(root, image) for image in mine]
    atomic_write_text(facts, json_text(summary(each, mine), indent=2) + "\n")
    return written


def summary(each: list[dict[str, Any]], images: list[LabelledImage]) -> dict[str, object]:
    """Rates and means over images: how often the rules ended something, the logits' course, labels per image."""
    longest = max((len(found["logits"]) for found in each), default=0)
    courses = [found["logits"] + [math.nan] * (longest - len(found["logits"])) for found in each if found["logits"]]
    means = np.nanmean(np.array(courses), axis=0) if courses else np.zeros(0)
    labels = sum(len(image.classes) for image in images)
    return {
        "images": len(images),
        "labels_per_image": labels / max(1, len(images)),
        "stopped_images": sum(found["stopped"] is not None for found in each) / max(1, len(images)),
        "exploded_classes": sum(len(found["exploded"]) for found in each) / max(1, labels),
        "rising_images": sum(found["logits"][-1] > found["logits"][0] for found in each) / max(1, len(images)),
        "mean_logit": [round(float(value), 4) for value in means],
    }


def read_tuning(root: Path, image: LabelledImage) -> dict[str, Any]:
    """Return what the fine-tuning of an image was like; raises UserError if its file is missing or damaged."""
    remedy = f"delete {root / 'maps' / image.name}.npz too, and run snakemake again"
    path, what = tuning_path(root, image), "record of a fine-tuning"
    record: dict[str, Any] = read_generated(
        path, what, {"logits": list, "stopped": int | None, "exploded": dict}, remedy=remedy, missing=remedy
    )
    return record


def tuning_path(root: Path, image: LabelledImage) -> Path:
    """Return the file of an image's fine-tuning, beside its maps."""
    return root / "tuning" / f"{image.name}.json"
