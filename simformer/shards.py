"""Long passes over images in several jobs: every shard is a file of its own, so a lost one is made again alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simformer.errors import UserError


@dataclass(frozen=True)
class Shard:
    """One of `count` interleaved parts of a list; `number` counts from 1. Its text is e.g. `2of4`."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `2of4`; raises UserError for anything else."""
        match = re.fullmatch(r"(\d{1,9})of(\d{1,9})", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"shard '{text}': expected NUMBERofCOUNT with 1 <= NUMBER <= COUNT, e.g. 2of4")
        return cls(int(match[1]), int(match[2]))

    def positions(self, length: int) -> range:
        """Return this shard's positions in a list of `length` items."""
        return range(self.number - 1, length, self.count)


WHOLE = Shard()
"""The only shard of an undivided pass."""
