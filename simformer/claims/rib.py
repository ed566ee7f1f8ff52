"""RIB's properties, measured on training images with their true masks (scoring alone reads those)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np
import torch

from simformer.baselines.class_maps.cam import equal_sizes
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.rib.settings import RibCheckSettings, RibSettings
from simformer.baselines.rib.tuned_maps import load_tuner, read_tuning
from simformer.baselines.settings import CamSettings
from simformer.claims.claim import Claim, Options
from simformer.claims.measures import average_precision, precision_recall, recall_at_precision
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.identity import require_dataset, require_truth
from simformer.data.labels import LabelledImage, LabelSet

METHOD = "rib"
LEVEL = 0.25
"""Score from which a pixel counts as found."""
AREA = (0.01, 0.6)
"""Share of the image that an object takes in a pair, at least and at most."""
THRESHOLDS = np.arange(1, 20) / 20
KEPT = 0.8
"""Share of the exact tier's gain that a cheaper one must keep."""

Maps = dict[str, ClassMaps]
"""Image name -> its maps."""


@dataclass(frozen=True)
class Pair:
    """An image and a novel class in it: where its labelled pixels are, bool [H, W], and which show the class."""

    image: LabelledImage
    category: int
    labelled: np.ndarray
    shows: np.ndarray

    def scores(self, maps: Maps) -> np.ndarray:
        """Scores of the class at the labelled pixels, [n]."""
        chosen = maps[self.image.name].select([self.category])
        height, width = self.labelled.shape
        scores: np.ndarray = chosen.at_size(height, width)[0].numpy()[self.labelled]
        return scores

    @property
    def truth(self) -> np.ndarray:
        """Whether the labelled pixels show the class, bool [n]."""
        truth: np.ndarray = self.shows[self.labelled]
        return truth


@dataclass(frozen=True)
class Inputs:
    """What RIB's properties are measured from.

    Attributes:
        network: file of the classifier.
        data: folder of the prepared dataset.
        labels: all images with image-level labels alone.
        truth: the same images with all masks.
        novel: ids of the split's novel classes.
        rib: maps of RIB.
        settings, cam: those that made them. The maps of every other arm are made at the same sizes.
        amount: see there.
    """

    network: Path
    data: Path
    labels: LabelSet
    truth: LabelSet
    novel: tuple[int, ...]
    rib: MapSet
    settings: RibSettings
    cam: CamSettings
    amount: RibCheckSettings

    def tuned(self, images: Sequence[LabelledImage], device: torch.device, **changes: object) -> Maps:
        """Maps of some images with other settings, in half precision, as RIB's own are on disk."""
        settings = self.settings.model_copy(update=changes)
        tuner, _ = load_tuner(self.network, self.data, self.labels, settings, self.cam, device)
        made: Maps = {}
        for batch in equal_sizes(images, settings.images_at_once):
            found = tuner.trajectories(self.data, batch, len(self.labels.classes))
            for image, trajectory in zip(batch, found, strict=True):
                maps = tuner.class_maps(image, trajectory)
                made[image.name] = replace(maps, scores=maps.scores.half())
        return made


def find_pairs(truth: LabelSet, novel: Sequence[int], count: int) -> list[Pair]:
    """Return pairs of an image and a novel class of suitable size, image after image until there are enough."""
    pairs: list[Pair] = []
    for image in truth.images:
        if len(pairs) >= count:
            break
        if not set(novel) & set(image.classes):
            continue
        label_map = read_label_map(truth, image)
        for category in sorted(set(novel) & set(image.classes)):
            shows = label_map == category
            if AREA[0] <= shows.mean() <= AREA[1]:
                pairs.append(Pair(image, category, label_map != IGNORE, shows))
    return pairs


def rib_checks(inputs: Inputs, device: torch.device) -> list[Claim]:
    """Measure RIB's properties R1 to R7 and R9 (CONTA and RIB, 5).

    The plain maps are RIB's after one iteration, so that both are made at the same image size. Precision counts all
    labelled pixels of an image, not those outside its base masks alone, where most images would have no pixel of
    another class.
    """
    require_truth(inputs.truth.identity, inputs.labels.identity)
    require_dataset(inputs.rib.source, inputs.labels.identity)
    pairs = find_pairs(inputs.truth, inputs.novel, inputs.amount.pairs)
    images = list({pair.image.name: pair.image for pair in pairs}.values())
    plain = inputs.tuned(images, device, iterations=1, other_images=0)
    rib = {image.name: inputs.rib.read(image.name) for image in images}
    arms = {"plain": plain, "rib": rib}
    for objective in ("average", "sigmoid"):
        arms[objective] = inputs.tuned(images, device, objective=objective)
    arms["absent"] = inputs.tuned(images, device, goal="absent")
    gained = {name: _each(pairs, partial(_matched, plain=plain, maps=maps)) for name, maps in arms.items()}
    precision = {n: _each(pairs, partial(_ranking, maps=arms[n])) for n in ("plain", "rib", "absent")}
    found = {n: _each(pairs, partial(_recall, maps=arms[n])) for n in ("plain", "rib")}
    names = tuple(pair.image.name for pair in pairs)
    claims = [*_courses(inputs)]

    def add(
        check: str, statement: str, first: str, second: str, values: dict[str, np.ndarray], **options: Unpack[Options]
    ) -> None:
        claims.append(Claim(check, METHOD, statement, first, second, names, values[first], values[second], **options))

    add("R3", "more of the object scores above 0.25", "rib", "plain", found)
    add("R4", "more of the object is found at the precision of the plain maps", "rib", "plain", gained)
    add("R4", "pixels are ranked better (average precision)", "rib", "plain", precision)
    claims.append(_best_iou(pairs, plain, rib, len(inputs.labels.classes)))
    claims.append(_where(pairs, plain, rib, inputs.settings.tau))
    add("R6", "average pooling of raw logits finds more than a sigmoid", "average", "sigmoid", gained)
    add("R6", "pooling of the non-discriminative region finds more than average pooling", "rib", "average", gained)
    add(
        "R7", "toward an absent class the present ones are not ranked better", "absent", "plain", precision,
        expected="below", bound=0.01, control=True,
    )  # fmt: skip
    if inputs.settings.tier != "exact":
        claims.extend(_tiers(inputs, pairs, plain, rib, images[: inputs.amount.exact_images], device))
    return claims


def _each(pairs: Sequence[Pair], value: Callable[[Pair], float]) -> np.ndarray:
    return np.array([value(pair) for pair in pairs], np.float64)


def _ranking(pair: Pair, maps: Maps) -> float:
    return average_precision(pair.scores(maps), pair.truth)


def _recall(pair: Pair, maps: Maps) -> float:
    return float((pair.scores(maps)[pair.truth] > LEVEL).mean())


def _matched(pair: Pair, plain: Maps, maps: Maps) -> float:
    """Recall at the precision that the plain maps have at the usual score."""
    reached, _, levels = precision_recall(pair.scores(plain), pair.truth)
    usual = reached[levels > LEVEL]
    return recall_at_precision(pair.scores(maps), pair.truth, float(usual[-1] if len(usual) else reached[0]))


def _courses(inputs: Inputs) -> list[Claim]:
    """R1 and R2, on all images that have labels."""
    images = [image for image in inputs.labels.images if image.classes]
    found = [read_tuning(inputs.rib.root, image) for image in images]
    names, none = tuple(image.name for image in images), np.zeros(len(images))
    rising = np.array([course["logits"][-1] > course["logits"][0] for course in found])
    stopped = np.array([course["stopped"] is not None for course in found])
    rises, few = "the mean logit of the labels rises, in 95 of 100 images", "fewer than 20 of 100 images stop early"
    return [
        Claim("R1", METHOD, rises, "rib", "none", names, rising, none, "difference", "above", 0.95),
        Claim("R2", METHOD, few, "rib", "none", names, stopped, none, "difference", "below", 0.2),
    ]


def _best_iou(pairs: Sequence[Pair], plain: Maps, rib: Maps, num_classes: int) -> Claim:
    """R4: mean IoU of each class against the rest, each arm at its best threshold."""
    best = []
    for maps in (rib, plain):
        counts = np.zeros((len(THRESHOLDS), len(pairs), num_classes, 2))
        for n, pair in enumerate(pairs):
            scores, truth = pair.scores(maps), pair.truth
            for t, threshold in enumerate(THRESHOLDS):
                inside = scores > threshold
                counts[t, n, pair.category] = (inside & truth).sum(), (inside | truth).sum()
        total = counts.sum(axis=1)
        classes = total[0, :, 1] > 0
        best.append(counts[(total[:, classes, 0] / total[:, classes, 1]).mean(axis=1).argmax()])
    names, (mine, other) = tuple(pair.image.name for pair in pairs), best
    statement = "mean IoU at the best threshold is higher"
    return Claim("R4", METHOD, statement, "rib", "plain", names, mine, other, "iou")


def _where(pairs: Sequence[Pair], plain: Maps, rib: Maps, tau: float) -> Claim:
    """R5: recall rises more on object pixels whose plain score is below tau than on the others."""
    names, low, high = [], [], []
    for pair in pairs:
        before, after = (pair.scores(maps)[pair.truth] for maps in (plain, rib))
        below = before < tau
        if below.any() and not below.all():
            gain = (after > LEVEL).astype(float) - (before > LEVEL)
            names.append(pair.image.name)
            low.append(gain[below].mean())
            high.append(gain[~below].mean())
    statement = "recall rises more where plain scores are low"
    return Claim("R5", METHOD, statement, "below tau", "above tau", tuple(names), np.array(low), np.array(high))


def _tiers(
    inputs: Inputs, pairs: Sequence[Pair], plain: Maps, rib: Maps, images: list[LabelledImage], device: torch.device
) -> list[Claim]:
    """R9: the exact tier gains at the precision of the plain maps; if it does, the tier keeps most of the gain."""
    names = {image.name for image in images}
    some = [pair for pair in pairs if pair.image.name in names]
    exact = inputs.tuned(images, device, tier="exact", images_at_once=1)
    base = _each(some, partial(_matched, plain=plain, maps=plain))
    kept, gain = (_each(some, partial(_matched, plain=plain, maps=maps)) - base for maps in (rib, exact))
    count = len(some) if gain.mean() > 0 else 0  # of nothing, nothing can be kept
    arms = (
        ("the exact tier finds more than the plain maps on these images", "exact", "plain", gain, 0 * gain),
        (
            "the tier keeps 80 of 100 of the exact tier's gain in recall",
            inputs.settings.tier,
            "0.8 exact",
            kept[:count],
            KEPT * gain[:count],
        ),
    )
    return [
        Claim("R9", METHOD, statement, first, second, tuple(pair.image.name for pair in some[: len(mine)]), mine, other)
        for statement, first, second, mine, other in arms
    ]
