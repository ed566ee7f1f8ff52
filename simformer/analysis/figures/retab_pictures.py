"""Training images and what RETAB makes of them: boundaries, affinities, walked maps of a novel class, labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from simformer.analysis.figures.map_gallery import HEAT, choose_scenes
from simformer.analysis.figures.style import figure_text, write_png
from simformer.baselines.class_maps.cam import pixels_of
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.expansion.stencil import Windows, half_disc
from simformer.baselines.retab.cells import STRIDE
from simformer.baselines.retab.propagation import NONE_OF_THEM, Propagation, own_labels
from simformer.data.checked import read_label_map, read_photograph
from simformer.data.derived_labels import mix_scores
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage, LabelSet
from simformer.data.palette import class_colours

TITLES = ("image", "truth", "base masks", "boundary", "affinity", "map", "walked", "own argmax", "mixed")
CELL = 1.4
"""Width of a picture, inches."""


def draw_retab_pictures(
    propagation: Propagation,
    maps: MapSet,
    boundaries: MapSet,
    walked: MapSet,
    data: Path,
    masked: LabelSet,
    truth: LabelSet,
    gamma: float,
    count: int,
    output: Path,
) -> None:
    """Write one line of pictures per image.

    Args:
        propagation: the trained affinity network.
        maps, boundaries, walked: class maps, boundary probabilities, walked maps.
        data: folder of the prepared dataset.
        masked, truth: label set of the split, and that with all masks.
        gamma: of the mixed labels.
        count: number of images.
        output: PNG to write.
    Raises: UserError if the split has no image with a novel class.
    """
    require_split(propagation.stored.identity, masked.identity)
    for made in (maps, boundaries, walked):
        made.require_blind(masked)
    scenes = choose_scenes(masked, truth, count)
    true_images, colours = {image.name: image for image in truth.images}, class_colours(len(masked.classes))
    ratio = float(np.mean([image.height / image.width for image, _ in scenes]))
    size = CELL * len(TITLES) + 0.4, CELL * ratio * len(scenes) + 0.4
    figure, axes = plt.subplots(len(scenes), len(TITLES), figsize=size, squeeze=False, layout="constrained")
    for (image, named), row in zip(scenes, axes, strict=True):
        label = read_label_map(truth, true_images[image.name])
        base = read_label_map(masked, image)
        row[0].set_ylabel(figure_text(masked.classes[named]), fontsize=9)
        row[0].imshow(read_photograph(data, image))
        row[1].imshow(colours[label], interpolation="nearest")
        row[2].imshow(colours[base], interpolation="nearest")
        heats = _heats(propagation, maps, boundaries, walked, data, image, named)
        for axis, heat in zip(row[3:7], heats, strict=True):
            axis.imshow(heat, cmap=HEAT, vmin=0, vmax=1)
        mine, novel = walked.read(image.name), sorted(masked.novel_labels(image))
        row[7].imshow(colours[own_labels(mine, *base.shape).numpy()], interpolation="nearest")
        scores = mine.select(novel).at_size(*base.shape)
        mixed = mix_scores(scores, novel, torch.from_numpy(base), gamma, image.unknown).numpy()
        row[8].imshow(colours[mixed], interpolation="nearest")
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title, fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    write_png(figure, output, 110)


def mean_affinity(affinity: Tensor, radius: int) -> Tensor:
    """Mean affinity of every cell to its neighbours inside the grid: [O, h, w] to [h, w]."""
    total, number = torch.zeros_like(affinity[0]), torch.zeros_like(affinity[0])
    one = torch.ones_like(number)
    for value, (dy, dx) in zip(affinity, half_disc(radius), strict=True):
        inside = Windows(one, ((dy, dx),), 0.0)[dy, dx]
        total += value * inside + Windows(value * inside, ((dy, dx),), 0.0)[-dy, -dx]
        number += inside + Windows(inside, ((dy, dx),), 0.0)[-dy, -dx]
    return total / number.clamp_min(1)


def _heats(
    propagation: Propagation,
    maps: MapSet,
    boundaries: MapSet,
    walked: MapSet,
    data: Path,
    image: LabelledImage,
    named: int,
) -> Iterator[np.ndarray]:
    """Yield boundary probability, mean affinity (by its range), map and walked map of a class (by their maxima)."""
    shape, extent = (image.height, image.width), maps.read(image.name).extent
    yield boundaries.read(image.name).at_size(*shape)[0].numpy()
    affinity = mean_affinity(propagation.affinity(pixels_of(data, image, extent)), propagation.settings.radius)
    affinity = (affinity - affinity.min()) / (affinity.max() - affinity.min()).clamp_min(1e-6)
    yield ClassMaps((NONE_OF_THEM,), affinity[None].cpu(), STRIDE, extent).at_size(*shape)[0].numpy()
    for source in (maps, walked):
        scores = source.read(image.name).select([named]).at_size(*shape)[0]
        yield (scores / scores.max().clamp_min(1e-6)).numpy()
