"""RETAB's measured properties: do boundaries and affinities transfer to novel classes, and what does each part add?

Only this module of RETAB reads true masks, and only to score.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.baselines.class_maps.cam import pixels_of
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.expansion.affinity import feature_affinity, pair_kinds
from simformer.baselines.expansion.affinity_network import AffinityNetwork
from simformer.baselines.expansion.psa_irn import cell_labels, padded_input
from simformer.baselines.expansion.stencil import half_disc
from simformer.baselines.retab.cells import STRIDE, base_and_seeds
from simformer.baselines.retab.controls import SHUFFLED, THINNED, partners
from simformer.baselines.retab.edges import base_edges
from simformer.baselines.retab.networks import AFFINITY_KIND
from simformer.baselines.retab.propagation import boundary_cells
from simformer.baselines.retab.settings import TwoStageSettings
from simformer.baselines.settings import AffinitySettings
from simformer.baselines.training.network_file import read_network
from simformer.claims.claim import Both, Claim, Options
from simformer.claims.maps import chosen_images
from simformer.claims.measures import average_precision, roc_auc
from simformer.claims.retab_walks import View, counts, own_argmax, resized
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.derived_labels import mix_scores
from simformer.data.identity import require_blind, require_truth
from simformer.data.labels import LabelledImage, LabelSet

NEAR = 24
"""Three cells of the walk, in pixels: what lies within is near a border."""
REACH = 2
"""rho of the true edges that boundaries are scored against, pixels."""


@dataclass(frozen=True)
class Inputs:
    """Files of one (dataset, split, seed) that the checks read.

    Attributes:
        data: folder of the prepared dataset.
        masked, truth: label sets with hidden novel pixels, and with all masks (for scoring).
        seeds: seeds of the class maps.
        maps, boundaries, walked: class maps, boundary probabilities, walked maps.
        networks: files of affinity networks: 'retab', 'psa' and every control.
        settings: of the walk.
        gamma: of the mixed labels.
        limit: most images that are looked at, evenly spread.
        weights: initial backbone weights, None for random ones.
    """

    data: Path
    masked: LabelSet
    truth: LabelSet
    seeds: LabelSet
    maps: MapSet
    boundaries: MapSet
    walked: MapSet
    networks: dict[str, Path]
    settings: TwoStageSettings
    gamma: float
    limit: int
    weights: Path | None


@dataclass
class Values:
    """Values of two arms on images, as they come in."""

    images: list[str] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)

    def add(self, image: str, first: float, second: float) -> None:
        """Add an image, unless one of the values is not finite."""
        if math.isfinite(first) and math.isfinite(second):
            self.images.append(image)
            self.first.append(first)
            self.second.append(second)

    def claim(self, check: str, statement: str, arms: tuple[str, str], **options: Unpack[Options]) -> Claim:
        """Return the claim about these values."""
        return _claim(check, statement, arms, self.images, (np.array(self.first), np.array(self.second)), **options)


def _claim(
    check: str, statement: str, arms: tuple[str, str], images: Sequence[str], values: Both, **options: Unpack[Options]
) -> Claim:
    return Claim(check, "retab", statement, *arms, tuple(images), *values, **options)


def retab_claims(inputs: Inputs) -> list[Claim]:
    """Measure every property on training images with novel classes; true masks serve for scoring only."""
    require_truth(inputs.truth.identity, inputs.masked.identity)
    for maps in (inputs.maps, inputs.boundaries, inputs.walked):
        maps.require_blind(inputs.masked)
    require_blind(inputs.seeds.identity, inputs.masked.identity)
    views = list(_views(inputs))
    networks = {name: _network(path, inputs.masked) for name, path in inputs.networks.items()}
    networks["initial"] = _initial(inputs.networks["retab"], inputs.weights)
    return [
        *_boundaries(views),
        *_affinities(views, networks, inputs),
        *_seeds(views, inputs),
        *_walks(views, networks, inputs),
        *_merged(views, inputs),
    ]


def _views(inputs: Inputs) -> Iterator[tuple[LabelledImage, View]]:
    """Yield a limited number of the images with novel classes in R."""
    others, true = partners(inputs.masked.images, 0), {image.name: image for image in inputs.truth.images}
    for image in chosen_images(inputs.masked, inputs.limit):
        maps = inputs.maps.read(image.name)
        base = torch.from_numpy(read_label_map(inputs.masked, image))
        names = image.name, others[image.name].name
        boundary, other = (boundary_cells(inputs.boundaries.read(name), maps.extent) for name in names)
        truth = torch.from_numpy(read_label_map(inputs.truth, true[image.name]))
        yield image, View(maps, pixels_of(inputs.data, image, maps.extent), boundary, other, truth, base == IGNORE)


def _network(path: Path, masked: LabelSet) -> AffinityNetwork:
    kind = "psa" if path.parent.name == "psa" else AFFINITY_KIND
    stored = read_network(path, kind, AffinitySettings)
    require_blind(stored.identity, masked.identity)
    return stored.fill(AffinityNetwork(stored.spec.backbone)).eval()


def _initial(path: Path, weights: Path | None) -> AffinityNetwork:
    """Return the network as it was before its training."""
    from simformer.models.weights import initialise_backbone

    spec = read_network(path, AFFINITY_KIND, AffinitySettings).spec
    torch.manual_seed(spec.seed)
    network = AffinityNetwork(spec.backbone)
    if weights is not None:
        initialise_backbone(network.backbone, weights)
    return network.eval()


def _boundaries(views: Sequence[tuple[LabelledImage, View]]) -> list[Claim]:
    """P1: boundaries inside R, at least three cells away from base masks."""
    chance, gradient, others, recall, false = (Values() for _ in range(5))
    for image, view in views:
        size = view.truth.shape
        edges, _ = base_edges(view.truth[None], torch.zeros(1, *size, dtype=torch.bool), REACH)
        base = (~view.region).float()[None, None]
        inner = view.region & (F.max_pool2d(base, 2 * NEAR + 1, stride=1, padding=NEAR)[0, 0] == 0)
        truth = edges[0][inner].numpy()
        if truth.all() or not truth.any():
            continue
        own, other = (
            ClassMaps((IGNORE,), b[None], 8, view.maps.extent).at_size(*size)[0][inner].numpy()
            for b in (view.boundary, view.other_boundary)
        )
        mine = average_precision(own, truth)
        chance.add(image.name, mine, truth.mean())
        gradient.add(image.name, mine, average_precision(_gradient(view.pixels, tuple(size))[inner].numpy(), truth))
        others.add(image.name, mine, average_precision(other, truth))
        recall.add(image.name, (own[truth] >= 0.5).mean(), 0.5)
        false.add(image.name, (own[~truth] >= 0.5).mean(), 0.3)
    return [
        chance.claim("P1", "Boundaries of novel classes are found better than by chance (AP)", ("boundary", "chance")),
        gradient.claim("P1", "and better than by the image's gradient (AP)", ("boundary", "gradient")),
        recall.claim("P1", "At 0.5 at least half of them are found", ("recall", "0.5")),
        false.claim("P1", "At 0.5 at most 30 % of the rest is called a boundary", ("false alarms", "0.3"),
                    expected="below"),
        others.claim("P1", "Boundary maps of other images are worse (AP)", ("boundary", "other images"), control=True),
    ]  # fmt: skip


def _gradient(pixels: Tensor, size: tuple[int, ...]) -> Tensor:
    """Length of the grey-value gradient, [H, W]."""
    grey = F.pad(pixels.float().mean(dim=0)[None, None], (1, 1, 1, 1), mode="replicate")
    down, right = grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1], grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]
    length = (down**2 + right**2).sqrt()
    return F.interpolate(length, size=size, mode="bilinear", align_corners=False)[0, 0]


@torch.inference_mode()
def _affinities(
    views: Sequence[tuple[LabelledImage, View]], networks: dict[str, AffinityNetwork], inputs: Inputs
) -> list[Claim]:
    """P2: area under the ROC curve of affinities, on pairs of cells with both ends novel, and of base pairs."""
    offsets = half_disc(inputs.settings.radius)
    names = [name for name in networks if name != "retab"]
    against: dict[str, Values] = {name: Values() for name in (*names, "base pairs")}
    novel = torch.tensor(inputs.masked.novel)
    for image, view in views:
        cells = cell_labels("psa", resized(view.truth, view.maps.extent)[None])
        both = [torch.isin(cells, novel), ~torch.isin(cells, novel) & (cells != IGNORE)]
        groups = [pair_kinds(torch.where(which, cells, IGNORE), offsets) for which in both]
        areas = {}
        for name, network in networks.items():
            affinity = feature_affinity(network(padded_input(view.pixels, STRIDE)), offsets)
            areas[name] = [_area(affinity, *group) for group in groups]
        for name in names:
            against[name].add(image.name, areas["retab"][0], areas[name][0])
        against["base pairs"].add(image.name, areas["retab"][1], areas["retab"][0])
    thinned = [
        against[name].claim("C5", "Fewer base classes do not give better affinities (AUC, novel pairs)",
                            ("retab", name), bound=-0.02)
        for name in THINNED
    ]  # fmt: skip
    return [
        against["initial"].claim("P2", "Affinities of novel pairs are better than before training (AUC)",
                                 ("retab", "initial")),
        against["psa"].claim("P2", "and better than those learnt from seeds alone (AUC)", ("retab", "psa")),
        against["base pairs"].claim("P2", "Affinities of base pairs are better than those of novel pairs (AUC)",
                                    ("base pairs", "novel pairs")),
        against[SHUFFLED].claim("P2", "Base masks of other images teach worse affinities (AUC, novel pairs)",
                                ("retab", SHUFFLED), control=True),
        *thinned,
    ]  # fmt: skip


def _area(affinity: Tensor, same: Tensor, different: Tensor) -> float:
    """Area under the ROC curve; NaN without pairs of both kinds."""
    chosen = same | different
    return roc_auc(affinity[chosen].numpy(), same[chosen].numpy())


def _seeds(views: Sequence[tuple[LabelledImage, View]], inputs: Inputs) -> list[Claim]:
    """P3: precision of the seeds in R before and after the boundary filter."""
    seeded, found = {image.name: image for image in inputs.seeds.images}, Values()
    for image, view in views:
        if image.name not in seeded:
            continue
        seeds, novel = read_label_map(inputs.seeds, seeded[image.name]), inputs.masked.novel_labels(image)
        base = np.where(view.region.numpy(), IGNORE, 0).astype(np.uint8)
        boundary = ClassMaps((IGNORE,), view.boundary[None], 8, view.maps.extent).at_size(*view.truth.shape)[0].numpy()
        filtered = base_and_seeds(base, seeds, boundary >= inputs.settings.boundary, novel)
        plain = base_and_seeds(base, seeds, np.zeros_like(boundary, dtype=bool), novel)
        shares = [
            _precision(labels[view.region.numpy()], view.truth[view.region].numpy()) for labels in (filtered, plain)
        ]
        found.add(image.name, *shares)
    return [found.claim("P3", "Seeds away from boundaries are more precise", ("filtered", "all seeds"))]


def _precision(labels: np.ndarray, truth: np.ndarray) -> float:
    kept = labels != IGNORE
    return float((labels[kept] == truth[kept]).mean()) if kept.any() else float("nan")


def _walks(
    views: Sequence[tuple[LabelledImage, View]], networks: dict[str, AffinityNetwork], inputs: Inputs
) -> list[Claim]:
    """C1, C2, C4, C5: labels by own argmax in R."""
    novel = inputs.masked.novel
    found: dict[str, list[np.ndarray]] = {}
    border, outside = Values(), Values()
    used = {name: network for name, network in networks.items() if name != "initial"}
    for image, view in views:
        labels = own_argmax(view, used, inputs.settings)
        for arm, label_map in labels.items():
            found.setdefault(arm, []).append(counts(label_map, view, novel))
        near, far, share = _location(labels, view, novel)
        border.add(image.name, near, far)
        outside.add(image.name, share, 2 / 3)
    images = [image.name for image, _ in views]

    def claim(check: str, statement: str, first: str, second: str, bound: float = 0.0, control: bool = False) -> Claim:
        values = np.array(found[first]), np.array(found[second])
        arms = (first, second)
        return _claim(check, statement, arms, images, values, statistic="iou", bound=bound, control=control)

    return [
        claim("C1", "RETAB is at least 5 points above its class maps (own argmax)", "retab", "cam", 5.0),
        claim("C1", "RETAB is above a walk with PSA's affinities (own argmax)", "retab", "psa"),
        claim("C1", "Two stages are above one (own argmax)", "retab", "one_stage"),
        claim("C1", "With true boundaries two stages are above one (own argmax)", "true_boundaries", "one_stage"),
        claim("C1", "Mixed affinities are above PSA's in one stage (own argmax)", "one_stage", "psa"),
        claim("C1", "True affinities are above RETAB (own argmax)", "true_affinity", "retab"),
        claim("C1", "Blurred class maps are below class maps (own argmax)", "cam", "blur", control=True),
        claim("C2", "Base masks of other images are worse, in one stage (own argmax)", "one_stage", SHUFFLED,
              control=True),
        claim("C2", "Boundary maps of other images are worse (own argmax)", "retab", "other_boundaries", control=True),
        claim("C2", "With an inverted second gate it falls below the class maps (own argmax)", "cam", "inverted_gate",
              control=True),
        border.claim("C4", "The second stage helps more within three cells of true novel borders (accuracy)",
                     ("gain near", "gain far")),
        outside.claim("C4", "Two thirds of what is won over the class maps lay below their threshold",
                      ("share outside", "2/3")),
        *(claim("C5", "Fewer base classes do not help, in one stage (own argmax)", "one_stage", name, -1.0)
          for name in THINNED),
    ]  # fmt: skip


def _location(labels: dict[str, Tensor], view: View, novel: tuple[int, ...]) -> tuple[float, float, float]:
    """Where RETAB gains: accuracy over one stage near and far from novel borders; share of new hits outside maps."""
    ours = view.region & torch.isin(view.truth, torch.tensor(novel))
    edges, _ = base_edges(view.truth[None], torch.zeros(1, *view.truth.shape, dtype=torch.bool), 1)
    near = F.max_pool2d(edges[None].float(), 2 * NEAR + 1, stride=1, padding=NEAR)[0, 0] > 0
    hits = {arm: labels[arm] == view.truth for arm in ("retab", "one_stage", "cam")}
    gain = hits["retab"].float() - hits["one_stage"].float()
    zones = (ours & near, ours & ~near)
    in_near, in_far = (float(gain[zone].mean()) if zone.any() else float("nan") for zone in zones)
    won = ours & hits["retab"] & ~hits["cam"]
    scores, rows = view.maps.at_size(*view.truth.shape), {c: i for i, c in enumerate(view.maps.classes)}
    weak = torch.zeros_like(won)
    for c in (c for c in novel if c in rows):
        weak |= (view.truth == c) & (scores[rows[c]] < 0.3)
    share = float(weak[won].float().mean()) if won.any() else float("nan")
    return in_near, in_far, share


def _merged(views: Sequence[tuple[LabelledImage, View]], inputs: Inputs) -> list[Claim]:
    """C3: mixed labels of images with several novel classes."""
    images: list[str] = []
    found: dict[str, list[np.ndarray]] = {"retab": [], "fill": [], "cam": []}
    for image, view in views:
        present = inputs.masked.novel_labels(image)
        if len(present) < 2:
            continue
        images.append(image.name)
        masked = torch.where(view.region, IGNORE, view.truth).to(torch.uint8)
        plain = view.maps.select(present).at_size(*view.truth.shape)
        walked = inputs.walked.read(image.name).select(present).at_size(*view.truth.shape)
        for arm, scores, gamma in (("retab", walked, inputs.gamma), ("fill", plain, 0.0), ("cam", plain, inputs.gamma)):
            mixed = mix_scores(scores, present, masked, gamma, image.unknown)
            found[arm].append(counts(mixed, view, inputs.masked.novel))
    if not images:
        return []

    def claim(statement: str, first: str, second: str) -> Claim:
        values = np.array(found[first]), np.array(found[second])
        return _claim("C3", statement, (first, second), images, values, statistic="iou")

    return [
        claim("Mixed labels of RETAB are above filling by class maps (images with two novel classes)", "retab", "fill"),
        claim("Filling by class maps is above class maps (images with two novel classes)", "fill", "cam"),
        claim("Mixed labels of RETAB are above class maps (images with two novel classes)", "retab", "cam"),
    ]
