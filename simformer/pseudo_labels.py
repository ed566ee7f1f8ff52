"""Mixed labels for re-training: base masks as given, novel pixels as the teacher predicts them (Sec. 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from simformer.build import TrainedModel
from simformer.config.pseudo import PseudoSettings
from simformer.config.settings import IGNORE, InferenceSettings
from simformer.data.checked import read_label_map
from simformer.data.derived_labels import derive_labels, mix_scores
from simformer.data.identity import require_split
from simformer.data.labels import LabelSet
from simformer.data.shards import WHOLE, Shard
from simformer.inference import ImageFile, image_scores, predict

RELEASED = PseudoSettings()
"""The rule of the released code."""


def mix(predicted: np.ndarray, masked: np.ndarray, novel: list[int]) -> np.ndarray:
    """Combine a prediction with the base masks.

    Args:
        predicted: argmax over all K classes, uint8 [H, W].
        masked: base class ids, IGNORE on everything else, uint8 [H, W].
        novel: ids of the novel classes in the image's labels.
    Returns: uint8 [H, W]: base pixels keep their id; other pixels predicted as a novel class that the image
        is known to hold get it; what remains (predicted base or absent novel) is IGNORE.
    """
    accepted = np.where(np.isin(predicted, novel), predicted, np.uint8(IGNORE))
    return np.where(masked == IGNORE, accepted, masked)


def pseudo_labels(
    trained: TrainedModel,
    data: Path,
    labels: LabelSet,
    settings: InferenceSettings,
    device: torch.device,
    destination: Path,
    shard: Shard = WHOLE,
    choice: PseudoSettings = RELEASED,
) -> LabelSet:
    """Write the mixed label set of the training images of one shard (`data.masking.join_labels` joins them).

    Args:
        trained: the teacher.
        data: folder of the prepared dataset (images only are read).
        labels: the masked label set.
        settings: test-time sizes; `pseudo_short_edges` averages several scales and flips.
        device: of the network.
        destination: folder of the new label set.
        shard: which of the images.
        choice: how predictions become labels.
    Raises: UserError if the teacher was trained on another dataset or split: it could have seen masks that these
        labels hide.
    """
    labels.require("weak")
    require_split(trained.identity, labels.identity)
    mine = tuple(labels.images[i] for i in shard.positions(len(labels.images)))
    labels = replace(labels, images=mine, shard=shard)
    images = [ImageFile.of(data, i) for i in labels.images]

    def released() -> Iterator[tuple[int, np.ndarray]]:
        edges = settings.pseudo_short_edges
        for position, predicted in predict(trained.model, images, settings, device, average_short_edges=edges):
            image = labels.images[position]
            yield position, mix(predicted, read_label_map(labels, image), sorted(labels.novel_labels(image)))

    def common() -> Iterator[tuple[int, np.ndarray]]:
        edges = settings.pseudo_short_edges
        novel = [sorted(labels.novel_labels(image)) for image in labels.images]
        for position, scores in image_scores(trained.model, images, novel.__getitem__, settings, device, edges):
            image = labels.images[position]
            masked = torch.from_numpy(read_label_map(labels, image))
            yield position, mix_scores(scores.cpu(), novel[position], masked, choice.gamma, image.unknown).numpy()

    return derive_labels(labels, destination, "pseudo", released() if choice.rule == "released" else common())
