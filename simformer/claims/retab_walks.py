"""The walks that RETAB's checks compare, and the labels of their maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.expansion.affinity import feature_affinity
from simformer.baselines.expansion.psa_irn import majority_cells, padded_input
from simformer.baselines.expansion.stencil import Offset, Windows, half_disc
from simformer.baselines.expansion.walk import transition, walk
from simformer.baselines.retab.cells import STRIDE
from simformer.baselines.retab.edges import base_edges
from simformer.baselines.retab.propagation import NONE_OF_THEM, own_labels, start, two_stages
from simformer.baselines.retab.settings import TwoStageSettings
from simformer.config.settings import IGNORE

EDGE_SHARE = 0.05
"""Share of a cell's pixels beside a true edge from which on it is a boundary."""


@dataclass(frozen=True)
class View:
    """All that the arms of one image start from.

    Attributes:
        maps: class maps of the present classes.
        pixels: raw RGB of the maps' extent, uint8 [3, H, W].
        boundary, other_boundary: probabilities of this image, and of another one brought to its size, [h, w].
        truth: true labels, uint8 [H', W'].
        region: the not-base region R, bool [H', W'].
    """

    maps: ClassMaps
    pixels: Tensor
    boundary: Tensor
    other_boundary: Tensor
    truth: Tensor
    region: Tensor


def true_affinity(view: View, size: tuple[int, int], offsets: tuple[Offset, ...]) -> Tensor:
    """1 between cells of one true class, else 0: the upper bound of a walk. Unlabelled cells are alike.

    A cell that reaches beyond the image is what its part inside shows.

    Args:
        view: the image.
        size: (h, w) of the walk's grid.
        offsets: O offsets of the partners.
    Returns: [O, h, w].
    """
    truth = resized(view.truth, view.maps.extent).float()[None, None]
    whole = F.pad(truth, _beyond(view, size), mode="replicate")[0].to(torch.uint8)
    cells = majority_cells(whole, STRIDE)[0].int()
    at = Windows(cells, offsets, -1)
    return torch.stack([(cells == at[offset]).float() for offset in offsets])


def true_boundaries(view: View, size: tuple[int, int]) -> Tensor:
    """Cells through which an edge of the truth passes, bool [h, w]: what a perfect boundary network would say."""
    truth = resized(view.truth, view.maps.extent)
    edges, _ = base_edges(truth[None], torch.zeros(1, *truth.shape, dtype=torch.bool), 1)
    return F.avg_pool2d(F.pad(edges.float(), _beyond(view, size)), STRIDE)[0] >= EDGE_SHARE


def _beyond(view: View, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Pixels by which the walk's grid reaches beyond the image: left, right, top, bottom."""
    bottom, right = (STRIDE * cells - pixels for cells, pixels in zip(size, view.maps.extent, strict=True))
    return 0, right, 0, bottom


def resized(truth: Tensor, shape: tuple[int, int]) -> Tensor:
    """Bring true labels [H, W] to another size by nearest neighbour."""
    return F.interpolate(truth[None, None].float(), size=shape, mode="nearest")[0, 0].to(torch.uint8)


@torch.inference_mode()
def own_argmax(view: View, networks: Mapping[str, nn.Module], settings: TwoStageSettings) -> dict[str, Tensor]:
    """Label an image by the best of all present classes and 'none of them', by each of the arms.

    Args:
        view: the image.
        networks: affinity networks 'retab', 'psa' and of every control, by name.
        settings: of the walk.
    Returns: arm -> labels, uint8 [H', W'], 255 for 'none of them': blur, cam, retab, one_stage, other_boundaries,
        inverted_gate, true_boundaries, true_affinity, and one stage with every other network.
    """
    offsets, one = half_disc(settings.radius), settings.model_copy(update={"stages": 1})
    inputs = padded_input(view.pixels, STRIDE)
    affinity = {name: feature_affinity(network(inputs), offsets)[0] for name, network in networks.items()}
    size = (affinity["retab"].shape[-2], affinity["retab"].shape[-1])
    begun = start(view.maps, size, settings.background)
    ring, other = (b.float() >= settings.boundary for b in (view.boundary, view.other_boundary))
    mine = affinity.pop("retab")
    walked = {
        "blur": two_stages(begun, torch.ones_like(mine), ring, one),
        "cam": begun,
        "one_stage": two_stages(begun, mine, ring, one),
        "retab": two_stages(begun, mine, ring, settings),
        "other_boundaries": two_stages(begun, mine, other, settings),
        "inverted_gate": _inverted(begun, mine, ring, settings),
        "true_boundaries": two_stages(begun, mine, true_boundaries(view, size), settings),
        "true_affinity": two_stages(begun, true_affinity(view, size, offsets), ring, one),
        **{name: two_stages(begun, a, ring, one) for name, a in affinity.items()},
    }
    classes = (*view.maps.classes, NONE_OF_THEM)
    shape = view.truth.shape
    return {
        name: own_labels(ClassMaps(classes, scores, STRIDE, view.maps.extent), *shape)
        for name, scores in walked.items()
    }


def _inverted(scores: Tensor, affinity: Tensor, ring: Tensor, settings: TwoStageSettings) -> Tensor:
    """A mistaken second stage: scores flow from all cells into those that are no boundary."""
    offsets = half_disc(settings.radius)
    for send in (~ring, None):
        scores = walk(scores, transition(affinity, offsets, settings.beta, send, ~ring), settings.steps)
    return scores


def counts(labels: Tensor, view: View, novel: tuple[int, ...]) -> np.ndarray:
    """Pixels of intersection and union of each novel class within R, unlabelled pixels left aside: [K_n, 2]."""
    where = view.region & (view.truth != IGNORE)
    found, truth = labels[where], view.truth[where]
    rows = [[((found == c) & (truth == c)).sum(), ((found == c) | (truth == c)).sum()] for c in novel]
    return np.array(rows, np.int64)
