"""Mixed labels, one rule for every baseline: base masks as given, the rest from scores of the present novel classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simformer.atomic import atomic_write_text
from simformer.baselines.class_maps.map_files import MapSet
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.derived_labels import derive_labels, mix_scores
from simformer.data.labels import LabelSet
from simformer.errors import UserError
from simformer.text.json_text import json_text

FACTS_FILE = "facts.json"
"""What the mixed labels are like, beside them."""


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
    facts: dict[str, dict[str, Any]] = {}

    def mixed() -> Iterator[tuple[int, np.ndarray]]:
        for position, image in enumerate(labels.images):
            masked, novel = read_label_map(labels, image), sorted(labels.novel_labels(image))
            result = masked
            if novel:
                try:
                    scores = maps.read(image.name).select(novel).at_size(*masked.shape)
                except UserError as error:
                    raise UserError(f"image '{image.name}': {error}") from None
                result = mix_scores(scores, novel, torch.from_numpy(masked), gamma, image.unknown).numpy()
                facts[image.name] = _facts(masked, result, novel, labels.classes)
            yield position, result

    written = derive_labels(labels, destination, "maps", mixed())
    shares = {key: float(np.mean([f[key] for f in facts.values()])) if facts else 0.0 for key in _SHARES}
    lost = sum(len(f["lost"]) for f in facts.values())
    summary = {"gamma": gamma, "maps": maps.identity, "images_with_novel_labels": len(facts), **shares, "lost": lost}
    atomic_write_text(destination / FACTS_FILE, json_text({**summary, "images": facts}, indent=1) + "\n")
    return written


_SHARES = ("novel_share", "ignored_share")


def _facts(masked: np.ndarray, mixed: np.ndarray, novel: list[int], classes: tuple[str, ...]) -> dict[str, Any]:
    """Shares of R that got a novel class and that stayed IGNORE; present novel classes without a pixel."""
    region = mixed[masked == IGNORE]
    ignored = float((region == IGNORE).mean()) if region.size else 0.0
    lost = [classes[c] for c in novel if not (region == c).any()]
    return {"novel_share": 1.0 - ignored if region.size else 0.0, "ignored_share": ignored, "lost": lost}
