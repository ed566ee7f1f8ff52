"""Figure 5: how similar SimNet finds every pixel of an image pair to one chosen pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from simformer.analysis.figures.pictures import Scene, named_images, show
from simformer.analysis.figures.style import PAGE, figure_text, picture_rows, set_gaps
from simformer.build import TrainedModel
from simformer.data.index import ImageRecord
from simformer.data.transforms import normalise
from simformer.errors import UserError
from simformer.inference import network_input
from simformer.models.simnet import SimNet, with_statistics

SMALLEST_REGION = 0.02
"""Share of an image that a class must cover in both images to be chosen."""


@dataclass(frozen=True)
class Example:
    """An image pair, a class that both show, and a pixel (row, column) of it in the first."""

    first: ImageRecord
    second: ImageRecord
    class_id: int
    pixel: tuple[int, int]


def innermost(region: np.ndarray) -> tuple[int, int]:
    """Return the pixel of a region, bool [H, W], that is farthest from what does not belong to it."""
    depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return int(row), int(column)


def choose_examples(scene: Scene, count: int) -> list[Example]:
    """Choose pairs of test images, novel classes before base classes in turn, each time the first two that show it.

    Raises: UserError if no two test images show much of the same class.
    """
    base = [c for c in range(len(scene.index.classes)) if c not in scene.split.novel]
    turns = [c for pair in zip(scene.split.novel, base, strict=False) for c in pair]
    examples: list[Example] = []
    for c in [*turns, *(c for c in (*scene.split.novel, *base) if c not in turns)]:
        large = (
            record
            for record in scene.index.test
            if c in record.labels and (scene.truth(record) == c).mean() >= SMALLEST_REGION
        )
        pair = [record for _, record in zip(range(2), large, strict=False)]
        if len(pair) == 2 and len(examples) < count:
            first, second = pair
            examples.append(Example(first, second, c, innermost(scene.truth(first) == c)))
    if not examples:
        raise UserError(
            f"images: no class covers {SMALLEST_REGION:.0%} of two test images, so none can be chosen; name two in the "
            "figure's file, and a pixel of the first, e.g. images: [one, another], pixel: [40, 25]"
        )
    return examples


def named_example(scene: Scene, names: Sequence[str], pixel: Sequence[int] | None) -> Example:
    """Return the example of two named images, and of a named pixel, else the middle of a class that both show.

    Raises: UserError if there are not two images, the pixel lies outside, or no class is in both.
    """
    if len(names) != 2:
        raise UserError(
            f"images: a similarity map needs two images; found {len(names)}; name an input and its reference"
        )
    first, second = named_images(scene.index.test, names)
    truth = scene.truth(first)
    if pixel is not None:
        row, column = pixel
        if not (0 <= row < first.height and 0 <= column < first.width):
            raise UserError(
                f"pixel: {list(pixel)} is outside of '{first.name}', which is {first.height} x {first.width}"
            )
        return Example(first, second, int(truth[row, column]), (row, column))
    common = set(first.labels) & set(second.labels)
    if not common:
        raise UserError(f"images: '{first.name}' and '{second.name}' show no class in common; name a pixel")
    class_id = min(common, key=lambda c: (c not in scene.split.novel, -int((truth == c).sum()), c))
    return Example(first, second, class_id, innermost(truth == class_id))


@torch.inference_mode()
def similarity_maps(trained: TrainedModel, scene: Scene, example: Example) -> tuple[np.ndarray, np.ndarray]:
    """Compare the chosen pixel with every pixel of both images, at the stride of the pixel embeddings.

    The pair is [chosen pixel ; other pixel], as in L_sim. Batch norm uses the statistics of pairs across this image
    pair, as it does where SimNet teaches (L_dist). So a value says something of the whole pair of images as well.

    Returns: probabilities of 'similar' within the first and in the second image, [h, w] each.
    Raises: UserError if the method has no SimNet.
    """
    if trained.simnet is None:
        raise UserError(f"method '{trained.config.method}' has no SimNet; choose one with loss.sim > 0")
    embeddings = []
    for record in (example.first, example.second):
        images = network_input(scene.file(record), scene.inference, scene.device)
        embeddings.append(trained.model(normalise(images)).embeddings.float())
    h, w = embeddings[0].shape[-2:]
    row = min(h - 1, example.pixel[0] * h // example.first.height)
    column = min(w - 1, example.pixel[1] * w // example.first.width)
    chosen = embeddings[0][:, :, row, column][:, None]
    maps = []
    simnet = with_pair_statistics(trained.simnet, embeddings, trained.config.settings.similarity.points)
    for embedding in embeddings:
        similar = simnet(chosen, embedding.flatten(2).transpose(1, 2))
        maps.append(similar.view(embedding.shape[-2:]).cpu().numpy())
    return maps[0], maps[1]


def with_pair_statistics(simnet: SimNet, embeddings: Sequence[Tensor], points: int) -> SimNet:
    """Return a copy of SimNet, in eval mode, whose batch norm has the statistics of pairs across an image pair.

    Args:
        simnet: the network, which stays as it is.
        embeddings: pixel embeddings of the two images, [1, C, h, w] each.
        points: J, pixels of each image, evenly spaced; both directions of all their pairs count.
    """
    sampled = []
    for embedding in embeddings:
        pixels = embedding[0].flatten(1)
        chosen = torch.linspace(0, pixels.shape[1] - 1, points, device=pixels.device).round().long()
        sampled.append(pixels[:, chosen].T)
    features = torch.stack(sampled)
    return with_statistics(simnet, features, features.flip(0))


def similarity_figure(trained: TrainedModel, scene: Scene, examples: Sequence[Example]) -> Figure:
    """Draw one row per image pair: first image with the pixel, its map, second image, its map.

    Args:
        trained: a network with SimNet.
        scene: where the images come from.
        examples: the pairs.
    """
    heights = [max(r.height / r.width for r in (e.first, e.second)) for e in examples]
    figure, axes = picture_rows(heights, 4, 0.72 * PAGE, 0.55)
    for line, example in zip(axes, examples, strict=True):
        group = "novel" if example.class_id in scene.split.novel else "base"
        name = scene.index.classes[example.class_id] if example.class_id < len(scene.index.classes) else "unlabelled"
        maps = similarity_maps(trained, scene, example)
        for k, record in enumerate((example.first, example.second)):
            show(line[2 * k], scene.image(record))
            axis = line[2 * k + 1]
            show(axis, scene.image(record))
            area = (-0.5, record.width - 0.5, record.height - 0.5, -0.5)
            heat = axis.imshow(maps[k], cmap="cividis", vmin=0, vmax=1, extent=area, interpolation="nearest")
            region = scene.truth(record) == example.class_id
            if region.any() and not region.all():
                axis.contour(region, levels=[0.5], colors="#d55e00", linewidths=0.8)
        for axis in line[:2]:
            axis.plot(example.pixel[1], example.pixel[0], "X", color="white", markeredgecolor="black", markersize=6)
        line[0].set_ylabel(f"{figure_text(name)}\n({group})")
    for axis, text in zip(
        axes[0], ("image, chosen pixel", "similarity to it", "reference image", "similarity to it"), strict=True
    ):
        axis.set_title(text)
    bar = figure.colorbar(heat, ax=axes, location="bottom", shrink=0.5, aspect=40, pad=0.01)
    bar.set_label("SimNet: probability of the same class; outlined: where this class is")
    set_gaps(figure, 0.02, 0.02)
    return figure
