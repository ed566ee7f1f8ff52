"""What CPN's paper says about its maps, measured on held-out images: complementary views, area, entropy."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from simformer.baselines.cpn.losses import view_shares
from simformer.baselines.cpn.masks import draw_views
from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.stride8.network import TappedClassifier
from simformer.claims.claim import Both, Claim, Options
from simformer.claims.map_scores import mean_gaps, recalls
from simformer.claims.stride8_networks import Arm, Inputs, compare, measure_arm, normalised_view
from simformer.claims.test_images import HeldOut, of_pairs, pair_names

ARMS = ("plain", "cpn", "cpn_independent")
"""Networks that are compared."""
FRESH_STREAM = 11
"""Number of the random stream of masks that no training has drawn."""
FALL = 0.01
"""Average precision that the class maps may lose while their entropy rises."""


def fresh_views(images: Sequence[HeldOut], settings: CpnSettings, seed: int) -> list[Tensor]:
    """Draw a complementary pair of masks for each image, the same for every network: bool [1, 2, H, W] each.

    Args:
        images: held-out images.
        settings: size of the parts; the pair is complementary whatever the network was trained with.
        seed: of the training.
    """
    pairs = settings.model_copy(update={"masks": "complementary"})
    sides = [image.pixels.shape[-2:] for image in images]
    return [
        draw_views(height, width, pairs, np.random.default_rng([seed, FRESH_STREAM, position]))[None]
        for position, (height, width) in enumerate(sides)
    ]


def complementary_gaps(
    network: TappedClassifier, images: Sequence[HeldOut], maps: Sequence[Tensor], views: Sequence[Tensor]
) -> np.ndarray:
    """E_cp: mean |c N(A(x1)) + (1 - c) N(A(x2)) - N(A(x))| over the pixels of each map, [pairs].

    Args:
        network: in eval mode.
        images: held-out images x.
        maps: N(A(x)) of each.
        views: what the two views of each show, bool [1, 2, H, W].
    """
    gaps = []
    with torch.inference_mode():
        for image, own, visible in zip(images, maps, views, strict=True):
            shown = visible.to(image.pixels.device)
            seen = [normalised_view(network, image.pixels * shown[:, [i]], image.present)[0] for i in (0, 1)]
            first, second = view_shares(visible)[0]
            gaps.append(mean_gaps(first * seen[0] + second * seen[1], own))
    return of_pairs(images, gaps)


def cpn_claims(inputs: Inputs) -> list[Claim]:
    """Measure all claims about CPN, with the networks of ARMS.

    Raises: UserError for a network that is not what its name says.
    """
    images, arms, found = compare("cpn", CpnSettings, inputs)
    spec = arms["cpn"].stored.spec
    assert isinstance(spec.settings, CpnSettings), "`compare` has checked it"
    return [
        *found,
        *_gaps(arms, images, fresh_views(images, spec.settings, spec.seed)),
        *_quality(arms, images),
        _regions(arms["cpn"], images, inputs.split.base),
    ]


def _gaps(arms: dict[str, Arm], images: Sequence[HeldOut], views: Sequence[Tensor]) -> list[Claim]:
    pairs, cpn, plain = pair_names(images), arms["cpn"], arms["plain"]
    mine, theirs = (complementary_gaps(arm.network, images, arm.maps, views) for arm in (cpn, plain))
    gap = "the maps of two views that hide complementary parts are together nearer to those of the whole"
    share = "the gap drops also as a share of the distance between maps of different images"
    return [
        Claim("C1", "cpn", gap, "cpn", "plain", pairs, mine, theirs, "ratio", "below", 1),
        Claim(
            "C1", "cpn", share, "cpn", "plain", pairs, cpn.relative(mine), plain.relative(theirs), "ratio", "below", 1
        ),
    ]


def without_regions(network: TappedClassifier) -> TappedClassifier:
    """Copy a network, of which the copy spreads its maps by the pixel correlation alone."""
    other = copy.deepcopy(network)
    other.regions = None
    return other


def _regions(cpn: Arm, images: Sequence[HeldOut], base: tuple[int, ...]) -> Claim:
    """Whether the pixel-region weights help: as released they sum to 1 over pixels, and a peak can move a maximum."""
    bare = measure_arm("cpn without regions", without_regions(cpn.network), cpn.stored, images, base).spread
    names = tuple(image.name for image in images)
    counts = cpn.spread.counts[cpn.spread.best], bare.counts[bare.best]
    statement = "the pixel-region weights raise the mean IoU of the base classes, each at its best threshold"
    return Claim("C3", "cpn", statement, "cpn", "cpn without regions", names, *counts, "iou")


def _quality(arms: dict[str, Arm], images: Sequence[HeldOut]) -> list[Claim]:
    pairs, names = pair_names(images), tuple(image.name for image in images)
    plain, cpn, independent = (arms[name] for name in ARMS)
    precision = plain.raw.best_precision
    recall, plain_recall, independent_recall = (
        recalls(images, maps, precision) for maps in (cpn.spread_maps, plain.maps, independent.spread_maps)
    )

    def higher(check: str, statement: str, second: str, values: Both, **options: Unpack[Options]) -> Claim:
        return Claim(check, "cpn", statement, "cpn", second, pairs, *values, **options)

    found = "recall inside the object at the precision of the plain network's best threshold is higher"
    right = "spread maps have a higher pixel AP"
    less = "two independent masks gain less: "
    return [
        higher("C2", found, "plain", (recall, plain_recall)),
        higher("C3", f"{right} than class maps", "plain", (cpn.spread.precision, plain.raw.precision)),
        Claim(
            "C3", "cpn", "mean IoU of the base classes, each at its best threshold, is higher", "cpn", "plain", names,
            cpn.spread.counts[cpn.spread.best], plain.raw.counts[plain.raw.best], "iou",
        ),
        higher(
            "C4", "class maps have a higher entropy over pixels (nats)", "plain",
            (cpn.raw.entropy, plain.raw.entropy),
        ),
        higher(
            "C4", f"their pixel AP does not fall by {FALL:g}", "plain",
            (cpn.raw.precision, plain.raw.precision), bound=-FALL,
        ),
        higher("C5", less + found, "cpn_independent", (recall, independent_recall), control=True),
        higher(
            "C5", less + right, "cpn_independent",
            (cpn.spread.precision, independent.spread.precision), control=True,
        ),
    ]  # fmt: skip
