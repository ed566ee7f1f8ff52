"""What RETAB's affinity network learns from: base masks, novel seeds away from boundaries, and 'some novel class'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.atomic import atomic_write_text
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.expansion.psa_irn import majority_cells
from simformer.baselines.expansion.stencil import Offset, Windows
from simformer.baselines.mixing import FACTS_FILE
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.derived_labels import derive_labels
from simformer.data.identity import require_blind
from simformer.data.labels import LabelSet
from simformer.text.json_text import json_text

STRIDE = 8
UNKNOWN = 256
"""U, the label of a cell that is not base and about which nothing else is known."""


def retab_cells(label_maps: Tensor, padding: Tensor, novel: tuple[int, ...]) -> Tensor:
    """Label every block of 8 x 8 pixels by what fills more than half of it.

    Args:
        label_maps: base class id, novel class id at seeds, IGNORE elsewhere, uint8 [B, H, W].
        padding: True outside the image, bool [B, H, W].
        novel: ids of the novel classes.
    Returns: base id; where the not-base region has the majority its seed if one class of seeds has it, else UNKNOWN;
        IGNORE without any majority and outside the image. int16 [B, ceil(H / 8), ceil(W / 8)].
    """
    bottom, right = (-side % STRIDE for side in label_maps.shape[-2:])
    labels = F.pad(label_maps, (0, right, 0, bottom), value=IGNORE)
    outside = F.pad(padding, (0, right, 0, bottom), value=True)
    not_base = _is_novel(labels, novel) | (labels == IGNORE)
    region = majority_cells((not_base & ~outside).to(torch.uint8), STRIDE) == 1
    cells = majority_cells(labels, STRIDE).to(torch.int16)
    known = cells != IGNORE
    return torch.where(region & ~known, UNKNOWN, cells)


def pair_groups(
    cells: Tensor, offsets: tuple[Offset, ...], novel: tuple[int, ...]
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Sort pairs of cells: alike and base, alike and novel, different.

    A base cell and a cell that is not base are always different. Three kinds of pairs are in no group: two UNKNOWN
    cells, an UNKNOWN cell and a seed, and every pair with an IGNORE cell.

    Args:
        cells: see `retab_cells`, [B, h, w].
        offsets: O offsets of the partners.
        novel: ids of the novel classes.
    Returns: ((b+, n+), negative), bool [B, O, h, w] each.
    """
    at = Windows(cells, offsets, IGNORE)
    first, second = cells[:, None], torch.stack([at[offset] for offset in offsets], dim=1)
    valid = (first != IGNORE) & (second != IGNORE)
    base = [~_is_novel(side, novel) & (side != UNKNOWN) & (side != IGNORE) for side in (first, second)]
    known = valid & (first != UNKNOWN) & (second != UNKNOWN)
    same = known & (first == second)
    negative = (known & (first != second)) | (valid & (base[0] != base[1]))
    return (same & base[0], same & ~base[0]), negative


def base_and_seeds(masked: np.ndarray, seeds: np.ndarray, boundary: np.ndarray, novel: list[int]) -> np.ndarray:
    """Join base masks with the seeds of novel classes in the not-base region, but for those on boundaries.

    Args:
        masked: base class id, IGNORE elsewhere, uint8 [H, W].
        seeds: winner among all present classes where it is confident, IGNORE elsewhere, uint8 [H, W].
        boundary: predicted boundaries, bool [H, W].
        novel: ids of the image's novel classes.
    Returns: uint8 [H, W]; a seed of a base class in the not-base region is lost.
    """
    kept = np.where(np.isin(seeds, novel) & ~boundary, seeds, IGNORE)
    return np.where(masked == IGNORE, kept, masked).astype(np.uint8)


def write_base_and_seeds(
    masked: LabelSet, seeds: LabelSet, boundaries: MapSet, threshold: float, destination: Path
) -> LabelSet:
    """Write the label set of which the affinity network learns, and `facts.json` about it.

    Args:
        masked: the masked label set.
        seeds: confident pixels of the class maps; an image without any is not among its images.
        boundaries: boundary probabilities.
        threshold: lowest probability of a boundary.
        destination: folder of the new label set.
    Raises: UserError if seeds or boundaries are not of the dataset and split of the masked label set.
    """
    masked.require("weak", "control")
    seeds.require("seeds")
    require_blind(seeds.identity, masked.identity)
    boundaries.require_blind(masked)
    seeded = {image.name: image for image in seeds.images}
    shares: dict[str, list[float]] = {"boundary_share": [], "seed_share_before": [], "seed_share_after": []}

    def joined() -> Iterator[tuple[int, np.ndarray]]:
        for position, image in enumerate(masked.images):
            base, novel = read_label_map(masked, image), masked.novel_labels(image)
            found = seeded.get(image.name)
            mine = np.full_like(base, IGNORE) if found is None else read_label_map(seeds, found)
            boundary = (boundaries.read(image.name).at_size(*base.shape)[0] >= threshold).numpy()
            result = base_and_seeds(base, mine, boundary, novel)
            shares["boundary_share"].append(float(boundary.mean()))
            if novel and (region := base == IGNORE).any():
                shares["seed_share_before"].append(float(np.isin(mine[region], novel).mean()))
                shares["seed_share_after"].append(float((result[region] != IGNORE).mean()))
            yield position, result

    written = derive_labels(masked, destination, "seeds", joined())
    facts = {name: float(np.mean(values)) if values else 0.0 for name, values in shares.items()}
    atomic_write_text(destination / FACTS_FILE, json_text(facts, indent=1) + "\n")
    return written


def _is_novel(labels: Tensor, novel: tuple[int, ...]) -> Tensor:
    return torch.isin(labels, torch.tensor(novel, dtype=labels.dtype, device=labels.device))
