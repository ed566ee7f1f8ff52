"""Long passes over images in several jobs: every shard is a file of its own, so only a lost one is made again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simformer.errors import UserError


@dataclass(frozen=True)
class Shard:
    """One of `count` interleaved parts of a list; `number` counts from 1. Its text is e.g. `2of4`."""

    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}of{self.count}"

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


def require_all(parts: Sequence[tuple[Shard, str]]) -> None:
    """Raise UserError unless these are all shards of one pass, each once.

    Args:
        parts: shards, and the files that hold them, for messages.
    """
    count, first = parts[0][0].count, parts[0][1]
    seen: dict[int, str] = {}
    for shard, where in parts:
        if shard.count != count:
            raise UserError(f"{where} is part {shard}, but {first} is part {parts[0][0]}; give all parts of one pass")
        if shard.number in seen:
            raise UserError(f"{where} and {seen[shard.number]} are both part {shard}; give every part once")
        seen[shard.number] = where
    if missing := [str(Shard(number, count)) for number in range(1, count + 1) if number not in seen]:
        raise UserError(f"{first} is one of {count} parts, and {', '.join(missing)} not given; give every part once")
