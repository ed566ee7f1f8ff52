"""Names of the values of label maps: of ids (`--names`) and of colours (`--colours`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simformer.config.settings import IGNORE
from simformer.data.class_tables import INVALID
from simformer.data.coco_shapes import shown
from simformer.data.convert import Member
from simformer.data.formats.annotations import Mask, Options
from simformer.data.formats.id_pictures import IdPicture
from simformer.data.formats.name_files import NAMES_FORM, read_names, refuse_shared_names
from simformer.data.formats.text_files import read_own
from simformer.data.images import PNG_SIGNATURE, decode_image
from simformer.data.layout import LINE_END
from simformer.errors import UserError, some

COLOUR = re.compile(r"(?<!\d)(\d{1,3})(?:\s*[,;]\s*|\s+)(\d{1,3})(?:\s*[,;]\s*|\s+)(\d{1,3})(?!\d)|#([0-9a-fA-F]{6})\b")
"""`128,64,128`, `128 64 128` or `#804080`, anywhere in a line; the rest of the line is the name."""

COLOURS_FORM = "lines `name,red,green,blue`, e.g. road,128,64,128; a colour without name means no class"
SHOWN = 5
"""Colours that a message names."""


@dataclass(frozen=True)
class ColourPicture:
    """A label map whose colours are classes.

    Attributes:
        where, member: see `Mask`.
        names: name by colour, red * 65536 + green * 256 + blue; None for no class.
    """

    where: str
    member: Member
    names: Mapping[int, str | None]

    def draw(self, data: bytes, ids: Mapping[str, int]) -> NDArray[np.uint8]:
        """See `Mask`."""
        if not data.startswith(PNG_SIGNATURE):
            raise UserError(f"{self.where}: not a PNG file; expected PNG, which keeps colours exactly")
        pixels = decode_image(data, self.where).astype(np.int32)
        values = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
        colours = np.array(sorted(self.names), np.int32)
        classes = np.array(
            [ids.get(name, IGNORE) if (name := self.names[c]) else IGNORE for c in colours.tolist()], np.uint8
        )
        places = np.minimum(np.searchsorted(colours, values), len(colours) - 1)
        label = np.where(colours[places] == values, classes[places], np.uint8(INVALID))
        if (label == INVALID).any():
            wrong, counts = np.unique(values[label == INVALID], return_counts=True)
            order = np.argsort(-counts)
            shown = [f"{_triple(int(wrong[i]))} ({counts[i]} pixels)" for i in order]
            gray = all(value == (value & 255) * 0x010101 for value in wrong.tolist())
            hint = "; if these values are ids: --masks ids PATH --names FILE" if gray else ""
            raise UserError(
                f"{self.where}: colours without a name: {some(shown, SHOWN)}; add them to the file of --colours, "
                f"without a name if they mean no class{hint}"
            )
        return label


def picture_maker(options: Options) -> tuple[Callable[[str, Member], Mask], Mapping[int, str | None]]:
    """Return what makes a label map, from what messages call it and its file, and the names of its values.

    Raises:
        UserError: neither --names nor --colours is given, or both, or the file cannot be read.
    """
    if options.colours and options.names:
        raise UserError("--names and --colours: two tables; give --names for ids, or --colours for colours")
    if options.colours and options.reduce_zero_label:
        raise UserError("--reduce-zero-label is for ids; in the file of --colours, give no class a colour without name")
    if options.colours:
        colours = read_colours(options.colours)
        return lambda where, member: ColourPicture(where, member, colours), colours
    if options.names:
        names, table = read_names(options.names, options.reduce_zero_label), str(options.names)
        return lambda where, member: IdPicture(where, member, names, table), names
    raise UserError(
        "these label maps hold only numbers or colours: give their names with --names FILE "
        f"({NAMES_FORM}) or --colours FILE ({COLOURS_FORM})"
    )


def read_colours(path: Path) -> dict[int, str | None]:
    """Return the names of colours.

    Args:
        path: COLOURS_FORM, in any order and with any separators; CVAT's labelmap.txt has this form, too.

    Raises:
        UserError: a line has no colour, a colour is given twice, or two colours share a name.
    """
    colours: dict[int, str | None] = {}
    for number, line in enumerate(LINE_END.split(read_own(path)), 1):
        found = COLOUR.search(line)
        if found is None:
            if line.strip() and not line.lstrip().startswith("#") and colours:
                raise UserError(f"{path}: line {number} has no colour: {shown(line.strip())}; expected {COLOURS_FORM}")
            continue
        rgb = [int(found[4][i : i + 2], 16) for i in (0, 2, 4)] if found[4] else [int(found[i]) for i in (1, 2, 3)]
        if max(rgb) > 255:
            raise UserError(f"{path}: line {number}: {max(rgb)} in a colour; expected numbers from 0 to 255")
        before, after = line[: found.start()], line[found.end() :]
        name = (before if before.strip(" \t,;:\"'") else after.partition("::")[0]).strip(" \t,;:\"'")
        value = rgb[0] << 16 | rgb[1] << 8 | rgb[2]
        if value in colours and colours[value] != (name or None):
            raise UserError(f"{path}: line {number}: colour {_triple(value)} is given twice; keep one line")
        colours[value] = name or None
    if not any(colours.values()):
        raise UserError(f"{path}: no colours with names; expected {COLOURS_FORM}")
    refuse_shared_names(path, colours, lambda value: f"colour {_triple(value)}")
    return colours


def _triple(value: int) -> str:
    return f"{value >> 16},{value >> 8 & 255},{value & 255}"
