"""A plain table of tags, in one of two forms.

image,label        one row per image with a list, `a.jpg,"cat, dog"`, or one row per image and label; empty = no class
image,cat,dog      one column per class: 1, true or yes: present; 0, false or no: absent; empty or ?: unknown

Separated by commas, semicolons or tabs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from simformer.data.archive import Tree
from simformer.data.coco_shapes import shown
from simformer.data.formats.annotations import Annotations, Options, State, subset_of_folder
from simformer.data.formats.text_files import listed, read_rows, refuse_doubled
from simformer.data.layout import SUFFIXES
from simformer.errors import UserError
from simformer.text.strict_json import parse_json

FORM = "`image,label` with lists in quotes, or `image,<class>,<class>,...` with 1, 0 or nothing"
UNCLEAR = "-1"
"""Absent in some tables (CelebA), uncertain in others (CheXpert)."""
LABELS = ("label", "labels", "class", "classes", "tag", "tags", "category", "categories")
"""Names of the column that holds lists."""
STATES: Mapping[str, State] = {
    "1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False,
    "": None, "?": None,
}  # fmt: skip
"""What a cell says, in lower case."""


def tags(tree: Tree, options: Options) -> Annotations:
    """Read a table; UserError if it has neither form."""
    found = Annotations(str(tree.path))
    tables = [name for name in tree.names() if name.lower().endswith((".csv", ".tsv", ".txt"))]
    if len(tables) != 1:
        raise UserError(f"{tree.path}: {len(tables)} tables; expected one, {FORM}; give the file")
    rows = read_rows(tree, tables[0], FORM)
    header = next(rows)[1]
    refuse_headless(header, tree.where(tables[0]), options)
    column = list_column(header, options.column, tree.where(tables[0]))
    if column is None:
        read_matrix(tree, tables[0], found, "", options)
        return found
    for number, row in rows:
        if len(row) != len(header):
            found.problems.append(
                f"{tree.where(tables[0])}: line {number} has {len(row)} cells, the header {len(header)}; put lists in "
                'quotes: "cat,dog"'
            )
            continue
        add_list(found, row[0], split_list(row[column]))
    return found


def list_column(header: list[str], wanted: str | None, where: str) -> int | None:
    """Return the column that holds lists of classes; None for a table with a column per class.

    Raises:
        UserError: the column that the user wants is not there.
    """
    if wanted is not None:
        if wanted not in header[1:]:
            raise UserError(f"{where}: no column '{wanted}'; its columns are {listed(header)}; give one as --column")
        return header.index(wanted)
    return 1 if len(header) == 2 and header[1].lower() in LABELS else None


def refuse_headless(header: list[str], where: str, options: Options) -> None:
    """Raise UserError if the first row of a table is about a photograph instead of naming the columns."""
    first, *others = header
    states = any(cell and cell.lower() in STATES for cell in others)
    if first.lower().endswith(SUFFIXES) or (
        states and (all(c.lower() in STATES for c in others) or _has(first, options))
    ):
        raise UserError(
            f"{where}: line 1 has no header: {first} is a photograph; write a line above it that names the columns, "
            "e.g. image,cow,sheep, or image,label for lists of classes"
        )


def _has(reference: str, options: Options) -> bool:
    try:
        return options.has(reference)
    except UserError:  # several photographs fit
        return True


def split_list(text: str) -> list[str]:
    """Return the classes of a cell: separated by commas, semicolons or bars, or a list as in JSON or Python."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            items = parse_json(text)
        except ValueError:
            cells = (item.strip() for item in text[1:-1].split(","))
            items = [None if cell == "None" else cell.strip("'\"") for cell in cells]
        return [str(item) for item in items if item is not None and str(item)]
    return [item for part in re.split(r"[,;|]", text) if (item := part.strip().strip("'\"").strip())]


def add_list(found: Annotations, image: str, names: list[str]) -> None:
    """Note the classes that are present in an image, or that it was looked at if there are none."""
    found.tags.setdefault(image, {})
    for name in names:
        if name not in found.classes:
            found.classes.append(name)
        found.tags[image][name] = True
    if subset := subset_of_folder(image):
        found.subsets[image] = subset


def read_matrix(tree: Tree, table: str, found: Annotations, folder: str, options: Options) -> None:
    """Read a table with a column per class.

    Args:
        tree, table: the file.
        found: gets the tags.
        folder: of the images, put before their names; it may name their subset.
        options: to recognise a photograph.

    Raises:
        UserError: no header, fewer than two columns, or columns that share a name.
    """
    where = tree.where(table)
    rows = read_rows(tree, table, FORM)
    header = next(rows)[1]
    names = header[1:]
    refuse_headless(header, where, options)
    refuse_doubled(names, where)
    if not names or "" in names:
        nameless = f"column {1 + header.index('', 1)} has no name" if names else f"its columns are {listed(header)}"
        raise UserError(f"{where}: {nameless}; expected {FORM}")
    found.classes += [name for name in names if name not in found.classes]
    unclear: list[int] = []
    lines: dict[str, list[int]] = defaultdict(list)
    for number, row in rows:
        if len(row) != 1 + len(names) or not row[0]:
            found.problems.append(f"{where}: line {number} has {len(row)} cells, the header {1 + len(names)}")
            continue
        reference = f"{folder}/{row[0]}" if folder else row[0]
        lines[reference].append(number)
        for name, cell in zip(names, row[1:], strict=True):
            if cell in (UNCLEAR, f"{UNCLEAR}.0"):
                unclear.append(number)
                continue
            if cell.lower() not in STATES:
                found.problems.append(
                    f"{where}: line {number}: '{name}' is {shown(cell)}; expected 1 (present), 0 (absent) or nothing "
                    "(unknown); for a list of classes: --column"
                )
                continue
            found.tag(reference, name, STATES[cell.lower()])
        if subset := subset_of_folder(reference):
            found.subsets[reference] = subset
    found.lines |= {reference: numbers for reference, numbers in lines.items() if found.contradicted.get(reference)}
    if unclear:
        found.problems.append(
            f"{where}: {len(unclear)} cells are {UNCLEAR}, the first in line {unclear[0]}; it means absent in some "
            "tables and uncertain in others: write 0 (absent) or nothing (unknown)"
        )
