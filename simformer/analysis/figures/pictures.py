"""What the figures of images share: the choice of images, panels without axes, masks over photographs, the legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simformer.analysis.figures.style import drawn_colour, figure_text
from simformer.config.settings import InferenceSettings
from simformer.data.checked import read_photograph
from simformer.data.index import DatasetIndex, ImageRecord
from simformer.data.palette import BASE_COLOUR, IGNORE_COLOUR, NOVEL_COLOUR, class_colours
from simformer.data.splits import Split
from simformer.data.truth import read_truth
from simformer.errors import UserError, did_you_mean
from simformer.inference import ImageFile

OPACITY = 0.8
"""Of a mask over a photograph."""
LEGEND_COLUMN = 27 / 25.4
"""Width in inches of one column of a legend of classes."""


@dataclass(frozen=True)
class Scene:
    """Where a figure's images come from.

    Attributes:
        data: folder of the prepared dataset.
        index: its audited index.
        split: base and novel classes.
        inference: test-time sizes.
        device: of the networks.
    """

    data: Path
    index: DatasetIndex
    split: Split
    inference: InferenceSettings
    device: torch.device

    @property
    def colours(self) -> np.ndarray:
        """Colours of the classes, uint8 [256, 3]."""
        return class_colours(len(self.index.classes))

    def file(self, record: ImageRecord) -> ImageFile:
        """Return an image as inference takes it."""
        return ImageFile.of(self.data, record)

    def image(self, record: ImageRecord) -> np.ndarray:
        """Read an image, uint8 [H, W, 3]."""
        return read_photograph(self.data, record)

    def truth(self, record: ImageRecord) -> np.ndarray:
        """Read the true classes of an image, uint8 [H, W]."""
        return read_truth(self.data, record)


def choose_images(records: Sequence[ImageRecord], novel: Sequence[int], count: int) -> list[ImageRecord]:
    """Choose test images with novel classes, evenly over the list, each novel class in turn; no look at results."""
    chosen: list[ImageRecord] = []
    by_class = [[r for r in records if c in r.labels] for c in novel]
    position = 0
    while len(chosen) < count and any(len(group) > position for group in by_class):
        for group in by_class:
            if position < len(group) and group[position] not in chosen and len(chosen) < count:
                chosen.append(group[position])
        position += 1
    return chosen or list(records[:count])


def named_images(records: Sequence[ImageRecord], names: Sequence[str]) -> list[ImageRecord]:
    """Find test images by name; UserError for one that is not there."""
    known = {record.name: record for record in records}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"; the first is '{next(iter(known))}'"
            raise UserError(f"images: no test image is named '{name}'{hint}")
    return [known[name] for name in names]


def show(axis: Axes, picture: np.ndarray) -> None:
    """Show an image [H, W, 3], its pixels as they are, without ticks and frame."""
    axis.imshow(picture, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def frame(axis: Axes, colour: str, style: str) -> None:
    """Draw a frame around a panel."""
    axis.spines[:].set(visible=True, color=colour, linestyle=style, linewidth=1.2)


def masked(image: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Show a mask in a colour over a photograph in pale gray.

    Args:
        image: uint8 [H, W, 3].
        mask: probability or bool, [H, W].
        colour: uint8 [3].
    Returns: uint8 [H, W, 3].
    """
    gray = np.repeat(0.5 * image.mean(axis=-1, keepdims=True) + 110, 3, axis=-1)
    weight = OPACITY * mask[..., None]
    return (gray * (1 - weight) + colour * weight).round().astype(np.uint8)


def class_legend(figure: Figure, scene: Scene, shown: Iterable[int], groups: bool = False) -> None:
    """Name classes below a figure, the novel ones first, marked by a star; with `groups` also base and novel."""
    colours, novel = scene.colours, scene.split.novel
    order = sorted(shown, key=lambda c: (c not in novel, c))
    names = [figure_text(scene.index.classes[c]) + ("*" if c in novel else "") for c in order]
    handles = [Patch(color=colours[c] / 255, label=name) for c, name in zip(order, names, strict=True)]
    if groups:
        for colour, name in ((BASE_COLOUR, "base"), (NOVEL_COLOUR, "novel (*)"), (IGNORE_COLOUR, "unlabelled")):
            handles.append(Patch(color=drawn_colour(colour), label=name))
    columns = max(1, int(figure.get_figwidth() / LEGEND_COLUMN))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handlelength=1, handleheight=1
    )
