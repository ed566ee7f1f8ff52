"""Claims about class maps: better than the plain classifier's, better when walked, better than trivial labels.

Scoring code: it reads the true masks of training images, and nothing that labels pixels reads what it writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
import torch

from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.compared_maps import MapArm
from simformer.baselines.expansion.psa_irn import blurred_maps
from simformer.claims.claim import Claim, Options, Side, compared
from simformer.claims.label_measures import (
    best_threshold,
    class_precisions,
    iou_counts,
    own_argmax_counts,
    threshold_counts,
)
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.derived_labels import mix_scores
from simformer.data.identity import require_split, require_truth
from simformer.data.labels import LabelledImage, LabelSet

METHOD = "maps"
IMAGES = 1000
"""Training images with novel classes that are looked at, at most; evenly over the list."""
THRESHOLDS = tuple(np.round(np.arange(0.0, 1.0, 0.05), 2).tolist())
"""Sweep for the best threshold, the same for all maps."""
PRECISION, ARGMAX, BEST = "pixel AP", "own argmax", "best threshold"
PLAIN, FILL, CONSTANT = "classifier", "fill", "constant map"
FILL_SLACK = 1.0
"""Percentage points up to which shuffled labels count as fallen to those of `fill`."""


@dataclass
class Values:
    """What one arm gives, image by image.

    Attributes:
        precision: (image, novel class) -> pixel average precision.
        argmax, thresholds, mixed: image -> [C, 2], [T, C, 2], [C, 2] of `iou_counts`; mixed labels only of images
            with two novel classes or more.
        extents: image -> size at which its maps were made; none where no network made them.
    """

    precision: dict[tuple[str, int], float] = field(default_factory=dict)
    argmax: dict[str, np.ndarray] = field(default_factory=dict)
    thresholds: dict[str, np.ndarray] = field(default_factory=dict)
    mixed: dict[str, np.ndarray] = field(default_factory=dict)
    extents: dict[str, tuple[int, int]] = field(default_factory=dict)

    def without(self, images: Collection[str]) -> Values:
        """Return the values of all images but some."""

        def others(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: value for name, value in values.items() if name not in images}

        pairs = {pair: value for pair, value in self.precision.items() if pair[0] not in images}
        return Values(pairs, others(self.argmax), others(self.thresholds), others(self.mixed))

    def best(self) -> dict[str, np.ndarray]:
        """Counts at the threshold with the highest mean IoU over all images."""
        if not self.thresholds:
            return {}
        chosen = best_threshold(np.sum(list(self.thresholds.values()), axis=0))
        return {image: counts[chosen] for image, counts in self.thresholds.items()}


def chosen_images(labels: LabelSet, count: int = IMAGES) -> list[LabelledImage]:
    """Return at most `count` images with novel classes, evenly over the list."""
    found = [image for image in labels.images if labels.novel_labels(image)]
    return [found[i] for i in np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)]


def map_claims(arms: Sequence[MapArm], masked: LabelSet, truth: LabelSet, filled: LabelSet) -> list[Claim]:
    """Measure maps of training images on their novel classes.

    Args:
        arms: the maps; "classifier" must be among them.
        masked: label set of the split: base masks and image-level labels.
        truth: the label set with all masks.
        filled: labels of the trivial control `fill`.
    Returns: the claims (docs/baselines.md, "What was measured").
    """
    require_truth(truth.identity, masked.identity)
    require_split(filled.identity, masked.identity)
    filled.require("fill")
    for arm in arms:
        arm.maps.require_blind(masked)
    values = measure(arms, masked, truth, filled)
    plain, constant = values[PLAIN].precision, values[CONSTANT].precision
    statement = "plain maps find the pixels of novel classes at all"
    claims = [compared("M0", METHOD, statement, PLAIN, CONSTANT, plain, constant)]
    for arm in arms:
        if arm.walked:
            claims += _all_measures(
                values, "X1", "walked maps are better than those they start from", arm.name, arm.start
            )
            if arm.walk:
                statement = "a walk with learnt affinities is better than one with equal affinities"
                claims += _all_measures(values, "X1", statement, arm.name, blur_name(arm), control=True)
        elif arm.name != PLAIN:
            claims += _all_measures(values, "M1", "better maps than those of the plain classifier", arm.name, PLAIN)
    claims.append(_mixed(values, "X2", "plain maps label better than filling", PLAIN, FILL))
    for arm in arms:
        if arm.name != PLAIN:
            claims.append(_mixed(values, "X2", "mixed labels are better than those of plain maps", arm.name, PLAIN))
    for arm in arms:
        if not arm.walked:
            wrong = shuffled_name(arm)
            statement = "with novel labels shuffled, mixed labels fall to or below filling"
            claims.append(_mixed(values, "X4", statement, wrong, FILL, "below", FILL_SLACK))
            claims.append(_mixed(values, "X4", "true novel labels are better than shuffled ones", arm.name, wrong))
    return claims


def measure(arms: Sequence[MapArm], masked: LabelSet, truth: LabelSet, filled: LabelSet) -> dict[str, Values]:
    """Measure every arm, and the controls, image by image; args as in `map_claims`."""
    names = [arm.name for arm in arms]
    starts = {arm.name: arm for arm in arms}
    controls = [blur_name(a) for a in arms if a.walk] + [shuffled_name(a) for a in arms if not a.walked]
    values = {name: Values() for name in [*names, *controls, FILL, CONSTANT]}
    true_images, filled_images = ({i.name: i for i in labels.images} for labels in (truth, filled))
    for image in chosen_images(masked):
        base = read_label_map(masked, image)
        label = read_label_map(truth, true_images[image.name])
        present = tuple(masked.novel_labels(image))
        seen = _Image(image.name, base, label, tuple(masked.novel), present, image.unknown)
        for arm in arms:
            maps = arm.maps.read(image.name)
            _add_maps(values[arm.name], maps, seen, arm.gamma)
            if arm.walk:
                kind, settings = arm.walk
                blurred = blurred_maps(kind, starts[arm.start].maps.read(image.name), settings)
                _add_maps(values[blur_name(arm)], blurred, seen, arm.gamma)
            if not arm.walked and seen.several:
                rotated = (*seen.present[1:], seen.present[0])
                values[shuffled_name(arm)].mixed[seen.name] = _mix(maps, seen, rotated, arm.gamma)
        pixels = np.bincount(label[label != IGNORE], minlength=256)
        shares = pixels / max(1, pixels.sum())
        values[CONSTANT].precision |= {(seen.name, c): float(shares[c]) for c in seen.present if shares[c]}
        if seen.several and image.name in filled_images:
            fill = read_label_map(filled, filled_images[image.name])
            values[FILL].mixed[seen.name] = iou_counts(fill, seen.hidden, seen.novel)
    return values


def of_equal_sizes(values: dict[str, Values], first: str, second: str) -> tuple[Values, Values]:
    """Return the values of two arms, but for images whose maps they made at different sizes.

    The size at which an image is inferred changes its maps; their difference would not be that of the arms alone.
    """
    mine, theirs = values[first], values[second]
    different = {name for name, size in mine.extents.items() if theirs.extents.get(name, size) != size}
    return mine.without(different), theirs.without(different)


def blur_name(arm: MapArm) -> str:
    """Name of the control of a walk."""
    return f"{arm.name}, equal affinities"


def shuffled_name(arm: MapArm) -> str:
    """Name of the control of an arm's labels."""
    return f"{arm.name}, shuffled"


@dataclass(frozen=True)
class _Image:
    """One image: base map, truth, all novel classes, the present ones, and the classes that nobody knows of."""

    name: str
    base: np.ndarray
    truth: np.ndarray
    novel: tuple[int, ...]
    present: tuple[int, ...]
    unknown: tuple[int, ...]

    @property
    def hidden(self) -> np.ndarray:
        """Truth in the not-base region, IGNORE elsewhere."""
        return np.where(self.base == IGNORE, self.truth, np.uint8(IGNORE))

    @property
    def several(self) -> bool:
        return len(self.present) > 1


def _add_maps(values: Values, maps: ClassMaps, image: _Image, gamma: float) -> None:
    scores = maps.at_size(*image.truth.shape)
    arguments = scores, maps.classes, image.truth, image.novel
    values.precision |= {(image.name, c): ap for c, ap in class_precisions(*arguments).items()}
    values.extents[image.name] = maps.extent
    values.argmax[image.name] = own_argmax_counts(*arguments)
    values.thresholds[image.name] = threshold_counts(*arguments, THRESHOLDS)
    if image.several:
        values.mixed[image.name] = _mix(maps, image, image.present, gamma)


def _mix(maps: ClassMaps, image: _Image, names: tuple[int, ...], gamma: float) -> np.ndarray:
    """Counts of mixed labels in which the maps of the present novel classes bear given names."""
    scores = maps.select(image.present).at_size(*image.truth.shape)
    mixed = mix_scores(scores, list(names), torch.from_numpy(image.base), gamma, image.unknown).numpy()
    return iou_counts(mixed, image.hidden, image.novel)


def _all_measures(
    values: dict[str, Values], check: str, statement: str, first: str, second: str, **options: Unpack[Options]
) -> list[Claim]:
    """Claim the same of pixel average precision, own argmax and best threshold."""
    mine, theirs = of_equal_sizes(values, first, second)
    arms = first, second
    iou: Options = {"statistic": "iou", **options}
    return [
        compared(check, METHOD, f"{statement} ({PRECISION})", *arms, mine.precision, theirs.precision, **options),
        compared(check, METHOD, f"{statement} ({ARGMAX})", *arms, mine.argmax, theirs.argmax, **iou),
        compared(check, METHOD, f"{statement} ({BEST})", *arms, mine.best(), theirs.best(), **iou),
    ]


def _mixed(
    values: dict[str, Values],
    check: str,
    statement: str,
    first: str,
    second: str,
    expected: Side = "above",
    bound: float = 0.0,
) -> Claim:
    mine, theirs = of_equal_sizes(values, first, second)
    options: Options = {"statistic": "iou", "expected": expected, "bound": bound, "control": check == "X4"}
    return compared(check, METHOD, statement, first, second, mine.mixed, theirs.mixed, **options)
