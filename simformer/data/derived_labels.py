"""Label sets that are made from a masked one: derived from new label maps, joined from shards, or filled.

None of them reads a true label map: what was hidden stays hidden.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simformer.config.settings import IGNORE
from simformer.data.checked import label_checksum, read_label_map
from simformer.data.identity import require_split
from simformer.data.images import write_label
from simformer.data.labels import Kind, LabelSet
from simformer.data.shards import require_all


def derive_labels(source: LabelSet, destination: Path, kind: Kind, maps: Iterable[tuple[int, np.ndarray]]) -> LabelSet:
    """Write a label set in which every class has masks, from a masked one.

    Args:
        source: the masked label set.
        destination: folder of the new label set.
        kind: of the new label set.
        maps: (position in `source.images`, new uint8 label map [H, W]) of every image, in any order.
    Returns: the new label set; an image's classes are those that its new label map holds. Images whose new
        label map is entirely IGNORE are left out: trained on, they would teach 'no object' where objects are.
    """
    images = list(source.images)
    for position, label_map in maps:
        image = images[position]
        write_label(destination / image.label, label_map)
        present = tuple(int(c) for c in np.unique(label_map) if c != IGNORE)
        images[position] = replace(image, classes=present, label_sha256=label_checksum(label_map))
    kept = tuple(image for image in images if image.classes)
    derived = replace(source, novel=(), images=kept, root=destination, kind=kind, crop_scope=False)
    derived.save()
    return derived


def join_labels(source: LabelSet, shards: Sequence[LabelSet], destination: Path) -> LabelSet:
    """Join label sets that were derived from interleaved parts of one masked set; equal for any number of parts.

    Args:
        source: the masked label set, whose order of images is kept.
        shards: the label sets of all its parts, written by `pseudo_labels`; their label maps are copied.
        destination: folder of the new label set.
    Raises: UserError if the parts are not those of this label set, all of them once.
    """
    source.require("weak")
    for shard in shards:
        require_split(shard.identity, source.identity)
    require_all([(shard.shard, shard.identity.where) for shard in shards])
    found = {image.name: (shard, image) for shard in shards for image in shard.images}
    images = tuple(found[image.name][1] for image in source.images if image.name in found)
    for shard, image in found.values():
        target = destination / image.label
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shard.label_path(image), target)
    joined = replace(source, novel=(), images=images, root=destination, kind="pseudo")
    joined.save()
    return joined


UNSURE = 0.5
"""Lowest score that counts in an image that may show a class of which nobody says so."""


def lowest_score(gamma: float, unknown: Collection[int]) -> float:
    """Return the lowest score that counts in one image (seeds, mixed labels): at least UNSURE if a class is unknown.

    Such a class is given no pixel, as if it were present. Nor is it taken for absent: the classes that are known to be
    there get only what they are sure of, instead of all that is not base.
    """
    return max(gamma, UNSURE) if unknown else gamma


def mix_scores(scores: Tensor, novel: list[int], masked: Tensor, gamma: float, unknown: Collection[int]) -> Tensor:
    """Fill the not-base region R of one image (Sec. 4.2, "mixed labels").

    Each class's scores are divided by their maximum over R. A pixel of R gets the class with the highest quotient if
    that is at least gamma. Base and absent classes never compete; base pixels stay as they are.

    Args:
        scores: of the present novel classes, >= 0, [P, H, W].
        novel: class id of each row.
        masked: base class ids, IGNORE elsewhere, uint8 [H, W].
        gamma: constant score of 'none of them': 0 leaves no pixel of R out, above 1 leaves out all.
        unknown: classes of which nobody says whether the image shows them; see `lowest_score`.
    Returns: uint8 [H, W].
    """
    region = masked == IGNORE
    if not novel or not region.any():
        return masked
    highest = scores[:, region].amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    best, winner = (scores / highest[:, None, None]).max(dim=0)
    filled = torch.tensor(novel, dtype=torch.uint8)[winner].masked_fill(best < lowest_score(gamma, unknown), IGNORE)
    return torch.where(region, filled, masked)


def fill_labels(source: LabelSet, destination: Path) -> LabelSet:
    """Trivial control: the whole not-base region becomes the most frequent novel class of the image.

    Frequency is the number of training images that carry the class's image-level label; ties go to the lower
    id. Images without a novel class keep their masked label map. No other class gets a pixel, even if the region shows
    it, known or unknown: as a control, this is meant to be wrong wherever two classes share the region.

    Raises: UserError if the label set is no masked one.
    """
    source.require("weak")
    frequency = Counter(c for image in source.images for c in source.novel_labels(image))

    def maps() -> Iterator[tuple[int, np.ndarray]]:
        for position, image in enumerate(source.images):
            masked = read_label_map(source, image)
            novel = source.novel_labels(image)
            if novel:
                chosen = min(novel, key=lambda c: (-frequency[c], c))
                masked = np.where(masked == IGNORE, np.uint8(chosen), masked)
            yield position, masked

    return derive_labels(source, destination, "fill", maps())
