"""Networks at stride 8 that claims compare: their maps of held-out images, and the gates that all must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simformer.baselines.response_networks import load_tapped
from simformer.baselines.settings import CamSettings
from simformer.baselines.stride8.cross_regularisation import normalised_maps
from simformer.baselines.stride8.network import TappedClassifier, pooled_logits
from simformer.baselines.stride8.settings import TappedSettings
from simformer.baselines.training.network_file import StoredNetwork
from simformer.claims.claim import Claim
from simformer.claims.map_scores import MapScores, distance_between_images, score_maps
from simformer.claims.measures import average_precision
from simformer.claims.test_images import HeldOut, pair_names, read_held_out
from simformer.data.identity import require_dataset, require_groups
from simformer.data.index import DatasetIndex
from simformer.data.splits import Split
from simformer.errors import UserError

WARM = "warm"
"""Name of the network from which the others start."""
MARGIN = 0.02
"""Average precision of the labels that a method may lose against the plain network."""
SMALLEST_DISTANCE = 1e-6
"""Least distance between images that gaps are divided by."""
HOT_SHARES = (0.01, 0.9)
"""Bounds of the mean share of hot pixels of a map; beyond them it has collapsed."""


@dataclass(frozen=True)
class Inputs:
    """What the claims about a method are measured on.

    Attributes:
        networks: network file of each arm, by its name.
        data: folder of the prepared dataset.
        index: its index; test images are measured, labels of training images give the frequency of classes.
        split: its base classes are those whose IoU counts.
        cam: sizes of the maps.
        device: of the networks.
    """

    networks: dict[str, Path]
    data: Path
    index: DatasetIndex
    split: Split
    cam: CamSettings
    device: torch.device


@dataclass(frozen=True)
class Arm:
    """What one network makes of the held-out images.

    Attributes:
        name: e.g. "seam".
        network: in eval mode.
        stored: its file's content.
        maps: N(A) of each image's classes, [P, H, W] each.
        spread_maps: the same of the spread maps r.
        raw, spread: their scores.
        labels: average precision of the class logits of each image, [n].
        between: E_diff of `maps`.
    """

    name: str
    network: TappedClassifier
    stored: StoredNetwork[TappedSettings]
    maps: list[Tensor]
    spread_maps: list[Tensor]
    raw: MapScores
    spread: MapScores
    labels: np.ndarray
    between: float

    def relative(self, gaps: np.ndarray) -> np.ndarray:
        """Divide gaps by E_diff; collapsed maps, which have neither, have none.

        Raises: UserError if no class has two images.
        """
        if np.isnan(self.between):
            raise UserError("no class is in two of the measured test images; the claims need a larger test set")
        return gaps / max(self.between, SMALLEST_DISTANCE)


@torch.inference_mode()
def normalised_view(network: TappedClassifier, pixels: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the maps of one view as SEAM and CPN compare them in training, without dropout.

    Args:
        network: in eval mode.
        pixels: normalised RGB, [1, 3, H, W].
        present: image-level labels, bool [1, K].
    Returns: N(A) and N(r) of the present classes, [P, H, W] each, and class logits [K], on the CPU.
    """
    size = (pixels.shape[-2], pixels.shape[-1])
    raw, spread = network(pixels, present)
    maps = normalised_maps(raw, spread, present, size)
    return maps.raw[0].cpu(), maps.spread[0].cpu(), pooled_logits(raw, size)[0].cpu()


def measure_arm(
    name: str,
    network: TappedClassifier,
    stored: StoredNetwork[TappedSettings],
    images: Sequence[HeldOut],
    base: tuple[int, ...],
) -> Arm:
    """Make and score the maps of a network.

    Args:
        name, network, stored: see `Arm`.
        images: n held-out images.
        base: ids of the base classes, whose IoU counts.
    """
    views = [normalised_view(network, image.pixels, image.present) for image in images]
    maps, spread_maps = [view[0] for view in views], [view[1] for view in views]
    labels = [
        average_precision(logits.numpy(), image.present[0].cpu().numpy())
        for (*_, logits), image in zip(views, images, strict=True)
    ]
    raw, spread = (score_maps(images, kind, base) for kind in (maps, spread_maps))
    between = distance_between_images(images, maps)
    return Arm(name, network, stored, maps, spread_maps, raw, spread, np.array(labels), between)


def compare(
    method: str, kind: type[TappedSettings], inputs: Inputs
) -> tuple[list[HeldOut], dict[str, Arm], list[Claim]]:
    """Measure the networks behind the claims of a method on held-out images; all but the warm one trained equally long.

    Args:
        method: e.g. "seam", one of the networks; "plain" must be another.
        kind: of its settings.
        inputs: networks and images.
    Returns: the images, the arms, and the claims of `gates`.
    Raises: UserError for networks of another dataset, of unequal training, or not of what their names say.
    """
    index = inputs.index
    require_groups(index.identity, inputs.split)
    images = read_held_out(inputs.data, index, inputs.cam, inputs.device)
    loaded = {name: load_tapped(path, inputs.device) for name, path in inputs.networks.items()}
    for _, stored in loaded.values():
        require_dataset(stored.identity, index.identity)
    require_equal_training({name: stored for name, (_, stored) in loaded.items()})
    arms = {name: measure_arm(name, *found, images, inputs.split.base) for name, found in loaded.items()}
    if not isinstance(arms[method].stored.spec.settings, kind):
        file = inputs.networks[method]
        raise UserError(f"{file}: not a network of {method.upper()}; give --network {method}=... another file")
    frequency = np.bincount([c for record in index.train for c in record.labels], minlength=len(index.classes))
    return images, arms, gates(arms[method], arms["plain"], images, frequency)


def require_equal_training(networks: dict[str, StoredNetwork[TappedSettings]]) -> None:
    """Raise UserError unless all but the warm network saw as many batches of as many images."""
    settings = {name: stored.spec.settings for name, stored in networks.items() if name != WARM}
    trained = {name: (found.epochs, found.batch_images) for name, found in settings.items()}
    if len(set(trained.values())) > 1:
        listed = "; ".join(f"{name} {epochs:g} and {batch}" for name, (epochs, batch) in trained.items())
        raise UserError(
            f"networks that are compared were trained unequally, epochs and batch_images being: {listed}. Give "
            "baselines.plain, .seam and .cpn the same ones in the dataset's file and run snakemake again"
        )


def gates(arm: Arm, plain: Arm, images: Sequence[HeldOut], frequency: np.ndarray) -> list[Claim]:
    """Return what must hold before any other claim about a method means something (G0, G1).

    Args:
        arm: the method's network; its response is its spread maps.
        plain: the control.
        images: the held-out images.
        frequency: training images of each class, [K], from which labels could be guessed.
    """
    names, pairs, low, high = tuple(image.name for image in images), pair_names(images), *HOT_SHARES
    nothing, hot = np.zeros(len(pairs)), arm.spread.hot
    guessed = np.array([average_precision(frequency, image.present[0].cpu().numpy()) for image in images])
    sure = "the image's labels are ranked better than by frequency (average precision)"
    near = f"the image's labels are ranked within {MARGIN:g} as well (average precision)"
    few, many = (f"share of a map's pixels above 0.5 is {side}" for side in (f"above {low:g}", f"below {high:g}"))
    return [
        Claim("G0", arm.name, sure, arm.name, "frequency", names, arm.labels, guessed),
        Claim("G0", arm.name, near, arm.name, plain.name, names, arm.labels, plain.labels, bound=-MARGIN),
        Claim("G1", arm.name, few, arm.name, "nothing", pairs, hot, nothing, bound=low),
        Claim("G1", arm.name, many, arm.name, "nothing", pairs, hot, nothing, "difference", "below", high),
    ]
