"""Training images with their truth, the class maps of one novel class from every network, and the mixed labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simformer.analysis.figures.style import drawn_colour, figure_text, write_png
from simformer.baselines.compared_maps import MapArm
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map, read_photograph
from simformer.data.derived_labels import mix_scores
from simformer.data.identity import require_truth
from simformer.data.labels import LabelledImage, LabelSet
from simformer.data.palette import IGNORE_COLOUR, class_colours
from simformer.errors import UserError

HEAT = "inferno"
DIMMED = 0.35
"""Brightness of the image below a map."""
CELL, GAP = 1.5, 0.05
"""Width of a picture, and of the space around it, inches."""
LEFT, RIGHT, TOP, BOTTOM = 0.55, 0.85, 0.45, 0.75
"""Room for the texts beside a block of pictures, for the scale, the titles and the legend, inches."""
NARROW = 7
"""Columns up to which two images are side by side."""
SMALLEST = 0.04
"""Share of an image that the class of its maps covers at least, if there are enough such images."""


def choose_scenes(masked: LabelSet, truth: LabelSet, count: int) -> list[tuple[LabelledImage, int]]:
    """Choose images with several novel classes, and for each image the novel class whose maps are drawn.

    The choice looks at no map. The novel classes take turns. Each takes the first image in the list that shows it well
    together with another novel class. If there are too few, images with one novel class or small areas follow.

    Returns: pairs of an image of `masked` and a class id.
    Raises: UserError if the split has no image with a novel class.
    """
    require_truth(truth.identity, masked.identity)
    true_images = {image.name: image for image in truth.images}

    def shows(image: LabelledImage, c: int) -> bool:
        return bool((read_label_map(truth, true_images[image.name]) == c).mean() >= SMALLEST)

    chosen: list[tuple[LabelledImage, int]] = []
    taken: set[str] = set()
    for several, large in ((2, True), (1, False)):
        candidates = {
            c: iter([i for i in masked.images if c in i.classes and len(masked.novel_labels(i)) >= several])
            for c in masked.novel
        }
        while candidates and len(chosen) < count:
            for c in list(candidates):
                found = next((i for i in candidates[c] if i.name not in taken and (not large or shows(i, c))), None)
                if found is None:
                    del candidates[c]
                elif len(chosen) < count:
                    chosen.append((found, c))
                    taken.add(found.name)
    if not chosen:
        raise UserError(f"{masked.root}: no training image has a novel class, so there is no map to draw")
    return chosen


def heat_overlay(image: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Lay a heat map over a dimmed gray image: where the score is 0 the image shows, where it is 1 the colour alone.

    Args:
        image: RGB, uint8 [H, W, 3].
        scores: in [0, 1], [H, W].
    Returns: float [H, W, 3] in [0, 1].
    """
    gray = DIMMED * image.mean(axis=2, keepdims=True) / 255
    weight = np.clip(scores, 0, 1)[..., None]
    heat: np.ndarray = (1 - weight) * gray + weight * plt.get_cmap(HEAT)(np.clip(scores, 0, 1))[..., :3]
    return heat


def draw_map_gallery(
    arms: Sequence[MapArm], data: Path, masked: LabelSet, truth: LabelSet, count: int, output: Path
) -> None:
    """Draw, per image, its maps of one novel class above, and the mixed labels made from them below.

    Args:
        arms: the maps, one column each.
        data: folder of the prepared dataset.
        masked: label set of the split.
        truth: the label set with all masks.
        count: number of images.
        output: PNG to write.
    Raises: UserError if the split has no image with a novel class.
    """
    for arm in arms:
        arm.maps.require_blind(masked)
    scenes = choose_scenes(masked, truth, count)
    true_images = {image.name: image for image in truth.images}
    colours = class_colours(len(masked.classes))
    titles = ["image", *(arm.name.replace("+", "\n+ ") for arm in arms)]
    figure, places = _page(scenes, titles)
    shown: set[int] = set()
    for (image, named), (above, below) in zip(scenes, places, strict=True):
        picture, base = read_photograph(data, image), read_label_map(masked, image)
        label = read_label_map(truth, true_images[image.name])
        above[0].imshow(picture, interpolation="nearest")
        above[0].set_ylabel(f"maps of\n{figure_text(masked.classes[named])}", fontsize=9)
        below[0].imshow(colours[label], interpolation="nearest")
        below[0].set_ylabel("truth and\nmixed labels", fontsize=9)
        shown |= set(np.unique(label).tolist())
        for arm, upper, lower in zip(arms, above[1:], below[1:], strict=True):
            scores, mixed = arm_pictures(arm, image, named, base, masked)
            upper.imshow(heat_overlay(picture, scores), interpolation="nearest")
            lower.imshow(colours[mixed], interpolation="nearest")
    _scale(figure)
    _legend(figure, masked, sorted(shown - {IGNORE}), colours)
    write_png(figure, output, 130)


def arm_pictures(
    arm: MapArm, image: LabelledImage, named: int, base: np.ndarray, masked: LabelSet
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the named class, divided by their maximum, and the mixed labels, [H, W] both."""
    novel = sorted(masked.novel_labels(image))
    scores = arm.maps.read(image.name).select(novel).at_size(*base.shape)
    mixed = mix_scores(scores, novel, torch.from_numpy(base), arm.gamma, image.unknown).numpy()
    mine = scores[novel.index(named)]
    return (mine / mine.max().clamp_min(torch.finfo(mine.dtype).tiny)).numpy(), mixed


def _page(
    scenes: Sequence[tuple[LabelledImage, int]], titles: Sequence[str]
) -> tuple[Figure, list[tuple[list[Axes], list[Axes]]]]:
    """Make a page on which each image has two lines of axes; few columns leave room for two images side by side.

    Returns: the figure, and per image its upper and lower line of axes.
    """
    blocks, columns = 1 + (len(titles) <= NARROW), len(titles)
    rows = -(-len(scenes) // blocks)
    high = CELL * float(np.mean([image.height / image.width for image, _ in scenes]))
    block, row = LEFT + columns * (CELL + GAP), 2 * (high + GAP) + GAP
    width, height = blocks * block + RIGHT, TOP + rows * row + BOTTOM
    figure = plt.figure(figsize=(width, height))
    places = []
    for number in range(len(scenes)):
        lines = []
        for line in (0, 1):
            y = height - TOP - (number // blocks) * row - line * (high + GAP) - high
            x = [(number % blocks) * block + LEFT + column * (CELL + GAP) for column in range(columns)]
            lines.append([figure.add_axes((left / width, y / height, CELL / width, high / height)) for left in x])
        if number < blocks:
            for axis, title in zip(lines[0], titles, strict=True):
                axis.set_title(title, fontsize=9)
        places.append((lines[0], lines[1]))
    for axis in figure.axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    return figure, places


def _scale(figure: Figure) -> None:
    """Draw the colours of the scores at the right edge."""
    width = figure.get_size_inches()[0]
    axis = figure.add_axes(((width - RIGHT + 0.05) / width, 0.3, 0.13 / width, 0.4))
    heat = plt.cm.ScalarMappable(Normalize(0, 1), HEAT)
    label = "score of the class named at the left,\nas a share of its maximum"
    figure.colorbar(heat, cax=axis).set_label(label, fontsize=9)
    axis.tick_params(labelsize=8)


def _legend(figure: Figure, masked: LabelSet, shown: Sequence[int], colours: np.ndarray) -> None:
    names = [figure_text(masked.classes[c]) + (" (novel)" if c in masked.novel else "") for c in shown]
    handles = [Patch(color=colours[c] / 255, label=name) for c, name in zip(shown, names, strict=True)]
    handles.append(Patch(color=drawn_colour(IGNORE_COLOUR), label="unlabelled"))
    columns = max(3, int(figure.get_size_inches()[0] / 1.3))
    figure.legend(handles=handles, loc="lower center", ncols=columns, fontsize=8, frameon=False)
