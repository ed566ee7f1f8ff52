"""The maps that are compared: the plain and the walked maps of every response, for one dataset and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.expansion.psa_irn import Expansion
from simformer.baselines.settings import WalkSettings


@dataclass(frozen=True)
class MapArm:
    """Some maps of all training images.

    Attributes:
        name: e.g. "classifier", or "classifier+psa" for walked maps.
        start: name of the arm from which it was walked; its own name for a response.
        maps: the maps.
        gamma: lowest score in mixed labels, see `mix_scores`.
        walk: kind and settings of a walk that can be repeated with equal affinities; None: it has no such control.
    """

    name: str
    start: str
    maps: MapSet
    gamma: float
    walk: tuple[Expansion, WalkSettings] | None = None

    @property
    def walked(self) -> bool:
        """Whether these are expanded maps."""
        return self.name != self.start


def read_arms(content: Sequence[dict[str, Any]]) -> list[MapArm]:
    """Read arms from {name, start, maps, gamma, kind, walk}; kind and walk may be None."""
    return [
        MapArm(
            c["name"], c["start"], MapSet.load(Path(c["maps"])), c["gamma"],
            (c["kind"], WalkSettings(**c["walk"])) if c["walk"] else None,
        )
        for c in content
    ]  # fmt: skip
