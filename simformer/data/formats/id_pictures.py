"""A label map of ids, and what is said once of all that hold ids without a name, or colours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simformer.config.settings import IGNORE
from simformer.data.convert import Member
from simformer.data.images import PNG_SIGNATURE, decode_label
from simformer.errors import UserError, some

COLOUR_TYPE = 25
"""Offset of the colour type in a PNG file."""
COLOURED = (2, 6)
"""Colour types with red, green and blue."""
SHOWN = 10
SHOWN_MAPS = 3
"""Ids, and label maps, that a message names."""
ADD_LINES = "add lines for them, without a name if they mean no class"


@dataclass(frozen=True)
class IdPicture:
    """A label map whose values are ids.

    Attributes:
        where, member: see `Mask`.
        names: name by value; None for no class, as 255 always is.
        table: where the names come from.
        remedy: what to do about ids that have no name there.
    """

    where: str
    member: Member
    names: Mapping[int, str | None]
    table: str
    remedy: str = ADD_LINES

    def draw(self, data: bytes, ids: Mapping[str, int]) -> NDArray[np.uint8]:
        """See `Mask`."""
        if _is_coloured(data):
            raise UserError(self.complaint)
        values = decode_label(data, self.where)
        classes = np.full(IGNORE + 1, IGNORE, np.uint8)
        for value, name in self.names.items():
            classes[value] = ids.get(name, IGNORE) if name else IGNORE
        if not self._has_lines(np.flatnonzero(np.bincount(values.ravel()))):
            raise UserError(self.complaint)
        label: NDArray[np.uint8] = classes[values]
        return label

    @property
    def complaint(self) -> str:
        """Stands for what `describe_values` says of all label maps together."""
        return f"{self.where}: values that are no ids with a name"

    def values(self, data: bytes) -> frozenset[int] | None:
        """Return the ids in a file; None for colours."""
        return None if _is_coloured(data) else frozenset(np.unique(decode_label(data, self.where)).tolist())

    def _has_lines(self, values: NDArray[np.intp]) -> bool:
        return all(value in self.names or value == IGNORE for value in values.tolist())


def describe_values(maps: Sequence[tuple[IdPicture, frozenset[int] | None]], zero: bool) -> list[str]:
    """Return what is wrong with label maps that hold colours, or ids without a line among the names; a line for each.

    Args:
        maps: label maps that could not be drawn, with what `values` returns.
        zero: another label map holds id 0.
    """
    lines = []
    if coloured := [picture.where for picture, values in maps if values is None]:
        lines.append(
            f"{some(coloured, SHOWN_MAPS)}: {_number(len(coloured))} of red, green and blue, not of ids; if the "
            "colours are classes: --masks colours PATH --colours FILE; else save one 8-bit channel of ids"
        )
    tables = {picture.table: picture for picture, _ in maps}
    holders: dict[str, dict[int, list[str]]] = {table: defaultdict(list) for table in tables}
    for picture, values in maps:
        unnamed = holders[picture.table]
        for value in sorted((values or frozenset()) - picture.names.keys() - {IGNORE}):
            unnamed[value].append(picture.where)
    for table, picture in tables.items():
        if not (unnamed := holders[table]):
            continue
        found = [f"{k} ({_number(len(unnamed[k]))}: {some(unnamed[k], SHOWN_MAPS)})" for k in sorted(unnamed)]
        zero = zero or any(0 in values for other, values in maps if values and other.table == table)
        hint = ""
        if picture.remedy == ADD_LINES and None not in picture.names.values() and [*unnamed] == [len(picture.names)]:
            why = (
                "or, if 0 means no class and yours count from 1"
                if zero
                else "or, as none holds 0, if yours count from 1"
            )
            hint = f"; {why}: --reduce-zero-label"
        count = sum(name is not None for name in picture.names.values())
        lines.append(
            f"{table} has {count} name{'s' * (count != 1)}, for ids {ranges(sorted(picture.names))}, but label "
            f"maps also hold {some(found, SHOWN)}; {picture.remedy}{hint}"
        )
    return lines


def ranges(values: list[int]) -> str:
    """Return sorted numbers as text: `0..3, 7`."""
    parts: list[list[int]] = []
    for value in values:
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        elif value != IGNORE:
            parts.append([value])
    return ", ".join(f"{part[0]}..{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts)


def _is_coloured(data: bytes) -> bool:
    return data.startswith(PNG_SIGNATURE) and len(data) > COLOUR_TYPE and data[COLOUR_TYPE] in COLOURED


def _number(count: int) -> str:
    return f"{count} label map{'s' * (count != 1)}"
