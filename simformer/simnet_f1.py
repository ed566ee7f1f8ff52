"""How well SimNet separates similar from dissimilar pixel pairs, on base and on novel pixels (Table 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from simformer.atomic import atomic_write_text
from simformer.build import TrainedModel
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.identity import require_split, require_truth
from simformer.data.labels import LabelSet
from simformer.data.loader import TrainingGroups
from simformer.data.pairs import PairChooser
from simformer.data.splits import Split
from simformer.data.transforms import normalise
from simformer.errors import UserError
from simformer.losses.grid import to_grid
from simformer.losses.sampling import gather_points, sample_base_points, sample_points
from simformer.metrics import owner
from simformer.models.simnet import SimNet
from simformer.text.json_text import json_text

THRESHOLD = 0.5
"""Pairs of at least this probability count as predicted similar (the larger of the two softmax outputs)."""
PAIR_SEED = 1_000
"""Added to the training seed for the choice of image pairs and pixels: not those of the first training steps."""


@dataclass(frozen=True)
class PixelPairs:
    """Sampled pixels of one image pair.

    Attributes:
        features: pixel embeddings, [2, J, C].
        labels: true class ids, IGNORE where a pixel does not belong to the group in question, [2, J].
    """

    features: Tensor
    labels: Tensor


@torch.no_grad()
def simnet_f1(
    trained: TrainedModel, data: Path, weak: LabelSet, true: LabelSet, device: torch.device, pairs: int, output: Path
) -> dict[str, float | None]:
    """Measure F1 of SimNet (Sec. 4.3) on pixels of training image pairs, with the true labels of their novel pixels.

    Image pairs, augmentation and J are those of training. Base: pixels drawn as for L_sim with the released pairs,
    whichever the run learnt from, so that runs compare; pairs of two base pixels count. Novel: pixels drawn from the
    novel region alone. All pixel pairs of all image pairs make one table of counts per group. SimNet is in eval mode;
    with the suffix `_train` in train mode, as the teacher of L_dist is (batch norm sees the pairs of one image pair).

    Args:
        trained: a network with SimNet.
        data: folder of the prepared dataset.
        weak: the masked label set that it was trained on.
        true: the same images with all masks.
        device: of the network.
        pairs: image pairs (the paper: 100).
        output: JSON to write.
    Returns: F1 in percent as `base_dis`, `base_sim`, `novel_dis`, `novel_sim` and with suffix `_train`; None where
        there is none (see `f1`), e.g. for dissimilar novel pairs of a split with one novel class.
    Raises: UserError if the method has no SimNet, or the files are not of one dataset and split.
    """
    if trained.simnet is None:
        raise UserError(f"method '{trained.config.method}' has no SimNet; choose one with loss.sim > 0")
    weak.require("weak")
    true.require("full")
    require_split(trained.identity, weak.identity)
    require_truth(true.identity, weak.identity)
    counts = {(group, mode): torch.zeros(2, 2) for group in ("base", "novel") for mode in ("", "_train")}
    for group, sample in sample_pixels(trained, data, weak, true, device, pairs):
        for mode in ("", "_train"):
            counts[group, mode] += count_pairs(sample, trained.simnet, training=mode == "_train")
    result = owner(trained.config.hash, Split(weak.classes, weak.novel))
    for (group, mode), table in counts.items():
        result |= {f"{group}_{kind}{mode}": f1(table)[k] for k, kind in enumerate(("dis", "sim"))}
    atomic_write_text(output, json_text(result, indent=2) + "\n")
    return result


def sample_pixels(
    trained: TrainedModel, data: Path, weak: LabelSet, true: LabelSet, device: torch.device, pairs: int
) -> Iterator[tuple[str, PixelPairs]]:
    """Yield the base and the novel pixels of each image pair, as ('base' or 'novel', pixels); see `simnet_f1`."""
    settings, seed = trained.config.settings, trained.config.seed + PAIR_SEED
    mode = settings.pairing.mode
    # none: an imported file has a SimNet although its method trains none
    chooser = PairChooser(weak, "code" if mode == "none" else mode)
    groups = TrainingGroups(data, weak, settings.augment, 2, chooser, seed)
    novel_ids = torch.tensor(weak.novel)
    released = settings.similarity.model_copy(update={"pairs": "release"})
    for number in range(pairs):
        images = groups.image_ids(number)
        crops = [groups.crop(i, number, slot, read_label_map(true, true.images[i])) for slot, i in enumerate(images)]
        output = trained.model(normalise(torch.stack([crop.image for crop in crops]).to(device)))
        embeddings = output.embeddings.float()
        size = embeddings.shape[-2:]
        labels = to_grid(torch.stack([crop.label_map for crop in crops]), size).flatten(1)
        padding = to_grid(torch.stack([crop.padding for crop in crops]), size).flatten(1)
        is_novel = torch.isin(labels, novel_ids)
        base = labels.masked_fill(is_novel, IGNORE)
        common = frozenset.intersection(*(frozenset(row.tolist()) - {IGNORE} for row in base))
        generators = [torch.Generator().manual_seed(seed * 1_009 + number)]
        drawn = {
            "base": (base, sample_base_points(base[None], padding[None], [common], released, generators)[0]),
            "novel": (
                labels.masked_fill(~is_novel, IGNORE),
                sample_points(is_novel[None], settings.similarity.points, generators)[0],
            ),
        }
        for group, (ids, points) in drawn.items():
            features = gather_points(embeddings.flatten(2), points.to(device))
            yield group, PixelPairs(features, ids.gather(1, points))


def count_pairs(sample: PixelPairs, simnet: SimNet, training: bool) -> Tensor:
    """Count pixel pairs across the two images, both directions, by truth and prediction.

    Args:
        sample: pixels; pairs with an IGNORE pixel do not count.
        simnet: the network; its mode and running statistics are left as they were.
        training: whether batch norm uses the statistics of these pairs.

    Returns: counts [2, 2], rows truth, columns prediction; 0 dissimilar, 1 similar.
    """
    labels, partner = sample.labels, sample.labels.flip(0)
    buffers = {name: buffer.clone() for name, buffer in simnet.named_buffers()}
    simnet.train(training)
    predicted = simnet(sample.features, sample.features.flip(0)).cpu() >= THRESHOLD
    simnet.eval()
    simnet.load_state_dict(buffers, strict=False)
    valid = (labels != IGNORE)[:, :, None] & (partner != IGNORE)[:, None]
    similar = labels[:, :, None] == partner[:, None]
    kinds = 2 * similar[valid].long() + predicted[valid].long()
    return torch.bincount(kinds, minlength=4).view(2, 2).float()


def f1(counts: Tensor) -> list[float | None]:
    """Return the F1 of 'dissimilar' and of 'similar', 2 TP / (2 TP + FP + FN), in percent.

    Args:
        counts: see `count_pairs`, [2, 2].
    Returns: two values; None for a kind of pairs that neither occurs nor is predicted, which has no F1.
    """
    hits, every = 2 * counts.diagonal(), counts.sum(0) + counts.sum(1)
    return [100 * hit / count if count else None for hit, count in zip(hits.tolist(), every.tolist(), strict=True)]
