"""Mixed labels, one rule for every baseline: base masks as given, the rest from scores of the present novel classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simformer.atomic import atomic_write_text
from simformer.baselines.class_maps.map_files import MapSet
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.derived_labels import derive_labels
from simformer.data.labels import LabelSet
from simformer.errors import UserError
from simformer.text.json_text import json_text

FACTS_FILE = "facts.json"
"""What the mixed labels are like, beside them."""


def mix_scores(scores: Tensor, novel: list[int], masked: Tensor, gamma: float) -> Tensor:
    """Fill the not-base region R of one image (Sec. 4.2, "mixed labels").

    Each class's scores are divided by their maximum over R. A pixel of R gets the class with the highest quotient if
    that is at least gamma. Base and absent classes never compete; base pixels stay as they are.

    Args:
        scores: of the present novel classes, >= 0, [P, H, W].
        novel: class id of each row.
        masked: base class ids, IGNORE elsewhere, uint8 [H, W].
        gamma: constant score of 'none of them': 0 leaves no pixel of R out, above 1 leaves out all.
    Returns: uint8 [H, W].
    """
    region = masked == IGNORE
    if not novel or not region.any():
        return masked
    highest = scores[:, region].amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    best, winner = (scores / highest[:, None, None]).max(dim=0)
    filled = torch.tensor(novel, dtype=torch.uint8)[winner].masked_fill(best < gamma, IGNORE)
    return torch.where(region, filled, masked)


def mixed_labels(maps: MapSet, labels: LabelSet, gamma: float, destination: Path) -> LabelSet:
    """Write the mixed label set of the training images, and `facts.json` about it.

    Args:
        maps: scores of every image's classes.
        labels: the masked label set.
        gamma: see `mix_scores`.
        destination: folder of the new label set.
    Raises: UserError if an image with novel labels has no maps of them, or the maps are not of the dataset and split of
        the labels.
    """
    labels.require("weak")
    maps.require_blind(labels)
    facts: dict[str, dict] = {}

    def mixed() -> Iterator[tuple[int, np.ndarray]]:
        for position, image in enumerate(labels.images):
            masked, novel = read_label_map(labels, image), sorted(labels.novel_labels(image))
            result = masked
            if novel:
                try:
                    scores = maps.read(image.name).select(novel).at_size(*masked.shape)
                except UserError as error:
                    raise UserError(f"image '{image.name}': {error}") from None
                result = mix_scores(scores, novel, torch.from_numpy(masked), gamma).numpy()
                facts[image.name] = _facts(masked, result, novel, labels.classes)
            yield position, result

    written = derive_labels(labels, destination, "maps", mixed())
    shares = {key: float(np.mean([f[key] for f in facts.values()])) if facts else 0.0 for key in _SHARES}
    lost = sum(len(f["lost"]) for f in facts.values())
    summary = {"gamma": gamma, "maps": maps.identity, "images_with_novel_labels": len(facts), **shares, "lost": lost}
    atomic_write_text(destination / FACTS_FILE, json_text({**summary, "images": facts}, indent=1) + "\n")
    return written


_SHARES = ("novel_share", "ignored_share")


def _facts(masked: np.ndarray, mixed: np.ndarray, novel: list[int], classes: tuple[str, ...]) -> dict:
    """Shares of R that got a novel class and that stayed IGNORE; present novel classes without a pixel."""
    region = mixed[masked == IGNORE]
    ignored = float((region == IGNORE).mean()) if region.size else 0.0
    lost = [classes[c] for c in novel if not (region == c).any()]
    return {"novel_share": 1.0 - ignored if region.size else 0.0, "ignored_share": ignored, "lost": lost}
