"""CONTA's properties, measured on training images with their true masks (only scoring reads those)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from simformer.baselines.class_maps.cam import inference_size, pixels_of
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.class_maps.seeds import confident
from simformer.baselines.classifier import load_classifier
from simformer.baselines.conta.context_attention import place_in_views
from simformer.baselines.conta.image_contexts import Contexts
from simformer.baselines.conta.round_classifier import ContextResponse
from simformer.baselines.settings import CamSettings
from simformer.claims.claim import Both, Claim, Options, Side, Statistic, compared
from simformer.claims.label_measures import iou_counts
from simformer.claims.maps import chosen_images
from simformer.claims.measures import average_precision
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.identity import require_dataset, require_truth
from simformer.data.labels import LabelledImage, LabelSet, present_classes
from simformer.data.transforms import normalise

METHOD = "conta"
PLAIN = "classifier"
LEVEL = 0.25
"""Score from which a pixel belongs to a class activation map."""
VARIATION = 0.1
"""Share of their mean by which context maps of different images must differ."""
MARGIN = 0.01
"""Distance of the attention's entropy, as a share of its maximum, from 'uniform' and from 'one-hot'."""
DROP = 3.0
"""Percentage points of mean IoU that the maps may lose without their context."""
JUMP = 5.0
"""Percentage points by which the ranking of labels may rise before context counts as leaked labels."""
NOISE = 0.5
"""Percentage points of mean IoU that a control without context may gain by chance."""

MapsOf = Callable[[LabelledImage], ClassMaps]


@dataclass(frozen=True)
class RoundMaps:
    """Maps of one response: class activation maps and those walked by IRN."""

    cam: MapSet
    walked: MapSet


@dataclass(frozen=True)
class Inputs:
    """What CONTA's properties are measured from.

    Attributes:
        rounds: names of rounds 0 to T, in order; the first is 'classifier'.
        controls: kind of context ('zero', 'shuffled', 'constant') -> name of its last round.
        maps: name -> maps, of all of them.
        plain: file of the plain classifier.
        network: file of the last round's classifier.
        predicted: masks that this one was trained with.
        data: folder of the prepared dataset.
        labels: all images with image-level labels alone.
        masked: label set of the split.
        truth: the label set with all masks.
        cam: settings of the class activation maps.
        background: lowest score of a labelled pixel in a round's masks.
    """

    rounds: tuple[str, ...]
    controls: dict[str, str]
    maps: dict[str, RoundMaps]
    plain: Path
    network: Path
    predicted: MapSet
    data: Path
    labels: LabelSet
    masked: LabelSet
    truth: LabelSet
    cam: CamSettings
    background: float


def conta_claims(inputs: Inputs, device: torch.device) -> list[Claim]:
    """Measure CONTA's properties C1 to C5 (docs/baselines.md, "CONTA").

    Args:
        inputs: see there.
        device: of the two networks that are run again.
    """
    require_truth(inputs.truth.identity, inputs.masked.identity)
    require_dataset(inputs.labels.identity, inputs.masked.identity)
    for maps in inputs.maps.values():
        maps.cam.require_blind(inputs.masked)
        maps.walked.require_blind(inputs.masked)
    response = ContextResponse(inputs.network, inputs.predicted, inputs.labels, device)
    images = chosen_images(inputs.masked)
    return [
        *_informative(response, [image.name for image in images]),
        *_no_shortcut(inputs, response, images, device),
        *_masks(inputs, images),
        *_mechanism(inputs, images),
    ]


@torch.inference_mode()
def _informative(response: ContextResponse, names: Sequence[str]) -> list[Claim]:
    """C1: context maps differ between images, and attention is neither uniform nor one-hot."""
    contexts, attention = response.contexts, response.network.trunk.attention
    assert attention is not None, "this is CONTA itself, not a control without attention"
    other = Contexts("shuffled", attention, contexts.predicted, names, 0, contexts.device)
    own, shuffled = (_rows(c, names) for c in (contexts, other))
    alpha = torch.cat([attention.weights(*contexts.masks([name])) for name in names]).cpu().double()
    entropy = (torch.special.entr(alpha).sum(dim=1) / np.log(max(2, int(attention.known.sum())))).numpy()
    mean, one, none = own.mean(axis=1), np.ones(len(names)), np.zeros(len(names))
    spread, apart = _root_mean_square(own - own.mean(axis=0)), _root_mean_square(own - shuffled)
    again = _root_mean_square(own - _rows(contexts, names))

    def claim(
        statement: str, first: str, second: str, values: Both,
        statistic: Statistic, expected: Side, bound: float, control: bool = False,
    ) -> Claim:  # fmt: skip
        return Claim("C1", METHOD, statement, first, second, tuple(names), *values, statistic, expected, bound, control)

    return [
        claim("context maps differ between images by a tenth of their mean", "deviation", "mean",
              (spread, mean), "ratio", "above", VARIATION),
        claim("attention is not uniform (entropy as a share of its maximum)", "entropy", "maximum",
              (entropy, one), "difference", "below", -MARGIN),
        claim("attention is not one-hot (entropy as a share of its maximum)", "entropy", "nothing",
              (entropy, none), "difference", "above", MARGIN),
        claim("the context map of another image is another one", "distance", "mean",
              (apart, mean), "ratio", "above", VARIATION),
        claim("the context map of the same image is the same", "distance", "mean",
              (again, mean), "ratio", "below", MARGIN, True),
    ]  # fmt: skip


def _no_shortcut(
    inputs: Inputs, response: ContextResponse, images: Sequence[LabelledImage], device: torch.device
) -> list[Claim]:
    """C2: the maps do not hang on the context, and the labels do not leak through it."""
    of_labels = {image.name: image for image in inputs.labels.images}
    mine = [of_labels[image.name] for image in images]
    blind = {image.name: maps for image, maps in response.maps(inputs.data, mine, inputs.cam, blind=True)}
    cams = inputs.maps[inputs.rounds[-1]].cam
    zeroed = mask_counts(lambda image: blind[image.name], inputs, images, LEVEL)
    seeing = mask_counts(lambda image: cams.read(image.name), inputs, images, LEVEL)
    ranked = label_rankings(inputs, response, mine, device)
    names = tuple(image.name for image in images)
    last = inputs.rounds[-1]
    return [
        Claim("C2", METHOD, "class activation maps lose little when context is zeroed (mean IoU)",
              f"{last}, zeroed", last, names, zeroed, seeing, "iou", "above", -DROP),
        Claim("C2", METHOD, "labels are not ranked much better than by the plain classifier (average precision, %)",
              last, PLAIN, names, 100 * ranked[0], 100 * ranked[1], "difference", "below", JUMP),
    ]  # fmt: skip


def _masks(inputs: Inputs, images: Sequence[LabelledImage]) -> list[Claim]:
    """C3: masks get better from round to round; C4: and better than those of all controls."""
    names = tuple(image.name for image in images)
    wanted = [*inputs.rounds, *inputs.controls.values()]

    def reader(maps: MapSet) -> MapsOf:
        return lambda image: maps.read(image.name)

    counts = {name: mask_counts(reader(inputs.maps[name].walked), inputs, images, inputs.background) for name in wanted}

    def claim(
        check: str, statement: str, first: str, second: str,
        expected: Side = "above", bound: float = 0.0, control: bool = False,
    ) -> Claim:  # fmt: skip
        values = counts[first], counts[second]
        return Claim(check, METHOD, statement, first, second, names, *values, "iou", expected, bound, control)

    last = inputs.rounds[-1]
    better = "masks of novel classes are better than a round before"
    claims = [claim("C3", better, *pair) for pair in zip(inputs.rounds[1:], inputs.rounds[:-1], strict=True)]
    claims.append(claim("C3", "masks of novel classes are better after the last round", last, PLAIN))
    claims += [
        claim("C4", f"masks are better than with '{kind}' context", last, name)
        for kind, name in inputs.controls.items()
    ]
    zero = inputs.controls["zero"]
    without = f"without context masks gain no more than {NOISE:g} points"
    return [*claims, claim("C4", without, zero, PLAIN, "below", NOISE, True)]


def _mechanism(inputs: Inputs, images: Sequence[LabelledImage]) -> list[Claim]:
    """C5: less of a class's map lies on the class that most often occurs with it."""
    last, zero = inputs.rounds[-1], inputs.controls["zero"]
    shares = {name: spill_shares(inputs, images, name) for name in (PLAIN, last, zero)}
    claims = []
    wanted: tuple[tuple[str, str, Options], ...] = (
        (last, "less", {"expected": "below", "bound": 0.0, "control": False}),
        (zero, "as much", {"expected": "above", "bound": -MARGIN, "control": True}),
    )
    for name, amount, options in wanted:
        statement = f"{amount} of a class's map lies on the class most often seen with it"
        claims.append(compared("C5", METHOD, statement, name, PLAIN, shares[name], shares[PLAIN], **options))
    return claims


def mask_counts(read: MapsOf, inputs: Inputs, images: Sequence[LabelledImage], background: float) -> np.ndarray:
    """Count pixels of masks on the not-base region R, where 255 in the mask is a miss and in the truth is left out.

    Args:
        read: maps of an image; all its classes compete.
        inputs: for the label maps.
        images: n training images of the split's label set.
        background: lowest score of a labelled pixel.
    Returns: intersection and union of each of the C novel classes, [n, C, 2].
    """
    true_images = {image.name: image for image in inputs.truth.images}
    found = []
    for image in images:
        truth = read_label_map(inputs.truth, true_images[image.name])
        base = read_label_map(inputs.masked, image)
        maps = read(image)
        mask = confident(maps.at_size(*truth.shape), maps.classes, background).numpy()
        found.append(iou_counts(mask, np.where(base == IGNORE, truth, np.uint8(IGNORE)), inputs.masked.novel))
    return np.array(found)


@torch.inference_mode()
def label_rankings(
    inputs: Inputs, response: ContextResponse, images: Sequence[LabelledImage], device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Average precision with which each image's logits rank its labels: of the last round and of round 0, [n] each."""
    plain, _ = load_classifier(inputs.plain, device)
    found = []
    for image in images:
        size = inference_size(image.height, image.width, inputs.cam)
        view = normalise(pixels_of(inputs.data, image, size)[None].to(device))
        context = place_in_views(response.contexts([image.name]), *size)[:1]
        truth = np.isin(np.arange(len(inputs.labels.classes)), image.classes)
        maps = response.network(view, context), plain(view)
        found.append([average_precision(m.mean(dim=(2, 3))[0].cpu().numpy(), truth) for m in maps])
    own, before = np.array(found).reshape(-1, 2).T
    return own, before


def companions(labels: LabelSet) -> dict[int, int]:
    """For each class, the other one that most often occurs in the same image (of equal ones the lowest id)."""
    present = present_classes(labels.images, len(labels.classes)).astype(np.int64)
    together = present.T @ present
    np.fill_diagonal(together, -1)
    return {c: int(row.argmax()) for c, row in enumerate(together)}


def spill_shares(inputs: Inputs, images: Sequence[LabelledImage], name: str) -> dict[tuple[str, int], float]:
    """Share of the pixels of {A_i > 0.25} that show the companion j of a novel class i, in images that hold both.

    Returns: (image, class) -> share of the known pixels; images whose map reaches 0.25 nowhere are left out.
    """
    other, true_images = companions(inputs.labels), {image.name: image for image in inputs.truth.images}
    shares: dict[tuple[str, int], float] = {}
    for image in images:
        truth = read_label_map(inputs.truth, true_images[image.name])
        for category in inputs.masked.novel_labels(image):
            if other[category] in image.classes:
                scores = inputs.maps[name].cam.read(image.name).select([category]).at_size(*truth.shape)[0].numpy()
                inside = truth[(scores > LEVEL) & (truth != IGNORE)]
                if inside.size:
                    shares[image.name, category] = float((inside == other[category]).mean())
    return shares


def _rows(contexts: Contexts, names: Sequence[str]) -> np.ndarray:
    return torch.cat([contexts([name]) for name in names]).flatten(1).double().cpu().numpy()


def _root_mean_square(values: np.ndarray) -> np.ndarray:
    roots: np.ndarray = np.sqrt((values**2).mean(axis=1))
    return roots
