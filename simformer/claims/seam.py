"""What SEAM's source says of its maps, measured on held-out images: equivariance, its cost, its affinities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.baselines.seam.settings import SeamSettings
from simformer.baselines.stride8.network import TappedClassifier, enlarged
from simformer.claims.claim import Both, Claim, Side
from simformer.claims.map_scores import mean_gaps
from simformer.claims.measures import roc_auc
from simformer.claims.stride8_networks import WARM, Arm, Inputs, compare, normalised_view
from simformer.claims.test_images import HeldOut, of_pairs, pair_names
from simformer.config.settings import IGNORE
from simformer.data.transforms import resize_label

ARMS = ("plain", "seam", "seam_no_er", "seam_no_ecr", WARM)
"""Networks that are compared."""
DROP = 0.75
"""The trained rescaling must lower the gap to this share of the plain network's."""
UNSEEN = {"0.7": 0.7, "1.5": 1.5, "mirror": None}
"""Changes of the image that training never compares: factors of its size; None is the mirror image."""
SAME = 0.01
"""Largest mean difference of average precisions that counts as none."""
CELLS = 400
"""Most cells of an image whose affinities are compared."""

Transform = Callable[[Tensor], Tensor]
"""Changes an image and its maps alike: [1, C, H, W] to [1, C, H', W']."""


def transform(factor: float | None) -> Transform:
    """Return the resizing by a factor, or the mirroring for None."""
    if factor is None:
        return lambda tensor: tensor.flip(-1)
    return lambda tensor: enlarged(tensor, tuple(max(1, round(side * factor)) for side in tensor.shape[-2:]))


def equivariance_gaps(
    network: TappedClassifier, images: Sequence[HeldOut], maps: Sequence[Tensor], change: Transform
) -> np.ndarray:
    """E_eq: mean |t(N(A(x))) - N(A(t(x)))| over the pixels of each map, [pairs].

    Args:
        network: in eval mode.
        images: held-out images x.
        maps: N(A(x)) of each.
        change: t.
    """
    with torch.inference_mode():
        changed = [normalised_view(network, change(image.pixels), image.present)[0] for image in images]
    return of_pairs(images, [mean_gaps(change(own[None])[0], new) for own, new in zip(maps, changed, strict=True)])


def pair_auc(features: Tensor, truth: np.ndarray) -> float:
    """ROC-AUC of W_ij = ReLU(cos(g_i, g_j)) for "cells i and j have one class", over pairs of different cells.

    Args:
        features: g, [C, h, w].
        truth: class id of each cell, IGNORE where there is none, uint8 [h, w].
    Returns: NaN if all cells have one class.
    """
    cells = np.flatnonzero(truth.ravel() != IGNORE)
    if len(cells) > CELLS:
        cells = cells[np.linspace(0, len(cells) - 1, CELLS).astype(np.int64)]
    unit = F.normalize(features.flatten(1)[:, torch.from_numpy(cells)].double(), dim=0)
    first, second = np.triu_indices(len(cells), k=1)
    ids = truth.ravel()[cells]
    return roc_auc((unit.T @ unit).relu().numpy()[first, second], ids[first] == ids[second])


@torch.inference_mode()
def affinity_aucs(network: TappedClassifier, images: Sequence[HeldOut]) -> tuple[np.ndarray, np.ndarray]:
    """Compute `pair_auc` of the spreading's features and of the colours among them, [n] each."""
    found = []
    for image in images:
        _, *stages, _ = network.backbone(image.pixels)
        features = network.correlation.features(image.pixels, tuple(stages))
        truth = resize_label(image.truth, *features.shape[-2:])
        joined, colours = network.correlation.join(features)[0].cpu(), features[0, :3].cpu()
        found.append((pair_auc(joined, truth), pair_auc(colours, truth)))
    learned, colour = np.array(found).reshape(-1, 2).T
    return learned, colour


def seam_claims(inputs: Inputs) -> list[Claim]:
    """Measure all claims about SEAM, with the networks of ARMS.

    Raises: UserError for a network that is not what its name says.
    """
    images, arms, found = compare("seam", SeamSettings, inputs)
    settings = arms["seam"].stored.spec.settings
    assert isinstance(settings, SeamSettings), "`compare` has checked it"
    return [
        *found,
        *_equivariance(arms, images, settings.rescale),
        *_quality(arms, images),
        *_affinity(arms, images),
    ]


def _equivariance(arms: dict[str, Arm], images: Sequence[HeldOut], rescale: float) -> list[Claim]:
    pairs = pair_names(images)

    def gaps(name: str, factor: float | None) -> np.ndarray:
        return equivariance_gaps(arms[name].network, images, arms[name].maps, transform(factor))

    trained = {name: gaps(name, rescale) for name in ("plain", "seam", "seam_no_er")}
    relative = {name: arms[name].relative(trained[name]) for name in ("plain", "seam")}

    def ratio(check: str, statement: str, first: str, second: str, values: Both, expected: Side, bound: float) -> Claim:
        return Claim(check, "seam", statement, first, second, pairs, *values, "ratio", expected, bound)

    drop = f"the gap of the maps under the trained rescaling ({rescale:g}) drops by a quarter"
    values = trained["seam"], trained["plain"]
    claims = [ratio("S1", drop, "seam", "plain", values, "below", DROP)]
    for name, factor in UNSEEN.items():
        statement = f"the gap of the maps under a change unseen in training ({name}) does not rise"
        values = gaps("seam", factor), gaps("plain", factor)
        claims.append(ratio("S1", statement, "seam", "plain", values, "below", 1))
    statement = "the gap drops also as a share of the distance between maps of different images"
    claims.append(ratio("S2", statement, "seam", "plain", (relative["seam"], relative["plain"]), "below", 1))
    statement = "without the equivariance loss the gap is larger"
    values = trained["seam_no_er"], trained["seam"]
    return [*claims, ratio("S6", statement, "seam_no_er", "seam", values, "above", 1)]


def _quality(arms: dict[str, Arm], images: Sequence[HeldOut]) -> list[Claim]:
    pairs, names = pair_names(images), tuple(image.name for image in images)
    plain, seam, no_ecr = arms["plain"], arms["seam"], arms["seam_no_ecr"]
    unmoved = np.abs(seam.raw.precision - no_ecr.raw.precision)

    def better(check: str, statement: str, names: tuple[str, str], values: tuple[np.ndarray, np.ndarray]) -> Claim:
        return Claim(check, "seam", statement, *names, pairs, *values)

    return [
        better("S3", "class maps have a higher pixel AP", ("seam", "plain"), (seam.raw.precision, plain.raw.precision)),
        better(
            "S3", "spread maps have a higher pixel AP than class maps", ("seam spread", "seam raw"),
            (seam.spread.precision, seam.raw.precision),
        ),
        Claim(
            "S4", "seam", "mean IoU of the base classes, each at its best threshold, is higher", "seam", "plain", names,
            seam.spread.counts[seam.spread.best], plain.raw.counts[plain.raw.best], "iou",
        ),
        better(
            "S6", "without the cross regularisation the spread maps have a lower pixel AP", ("seam", "seam_no_ecr"),
            (seam.spread.precision, no_ecr.spread.precision),
        ),
        Claim(
            "S6", "seam", f"without the cross regularisation the class maps' pixel AP stays within {SAME:g}",
            "|seam - seam_no_ecr|", "nothing", pairs, unmoved, np.zeros(len(pairs)), "difference", "below", SAME, True,
        ),
    ]  # fmt: skip


def _affinity(arms: dict[str, Arm], images: Sequence[HeldOut]) -> list[Claim]:
    learned, colours = affinity_aucs(arms["seam"].network, images)
    initial, _ = affinity_aucs(arms[WARM].network, images)
    kept = np.isfinite(learned)
    names = tuple(image.name for image, keep in zip(images, kept, strict=True) if keep)
    statement = "affinities tell cells of one class from others (ROC-AUC) better than {}"
    return [
        Claim("S5", "seam", statement.format(than), "seam", second, names, learned[kept], values[kept])
        for than, second, values in (("colours do", "colours", colours), ("untrained ones", WARM, initial))
    ]
