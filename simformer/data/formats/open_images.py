"""Open Images: image-level labels that people or machines have given.

*.csv                        ImageID,Source,LabelName,Confidence: 1 present, 0 verified absent, in between a machine's
*class-descriptions*.csv     LabelName,DisplayName, with or without a header

What people say wins over machines. A machine's label counts as present from --confidence on; below it is unknown, and
so is every class that no row names. Source: storage.googleapis.com/openimages/web/factsfigures_v7.html.
"""

from __future__ import annotations

from simformer.data.archive import FolderTree, Tree, is_hidden
from simformer.data.coco_shapes import shown
from simformer.data.formats.annotations import Annotations, Options, State
from simformer.data.formats.text_files import listed, read_rows, refuse_doubled
from simformer.errors import UserError

DESCRIPTIONS = "class-descriptions"
FORM = "a table with the columns ImageID, Source, LabelName, Confidence"


def tags(tree: Tree, options: Options) -> Annotations:
    """Read the labels of the images that are there; UserError if tables or names of classes are missing or broken."""
    found = Annotations(str(tree.path), partial=True)
    names = _names(tree)
    classes: set[str] = set()
    machine: dict[tuple[str, str], State] = {}
    tables = [name for name in tree.names() if name.lower().endswith(".csv") and DESCRIPTIONS not in name]
    if not tables:
        raise UserError(f"{tree.path}: no CSV files; expected {FORM}")
    for table in tables:
        rows = read_rows(tree, table, FORM)
        header = next(rows)[1]
        refuse_doubled(header, tree.where(table))
        columns = {name: header.index(name) for name in ("ImageID", "LabelName", "Confidence") if name in header}
        if len(columns) < 3:
            raise UserError(f"{tree.where(table)}: its columns are {listed(header)}; expected {FORM}")
        source = header.index("Source") if "Source" in header else None
        for number, row in rows:
            where = f"{tree.where(table)}: line {number}"
            if len(row) != len(header):
                raise UserError(f"{where} has {len(row)} cells; expected {FORM}")
            image, label = row[columns["ImageID"]], row[columns["LabelName"]]
            if label not in names:
                raise UserError(
                    f"{where}: label {shown(label)} has no name in *{DESCRIPTIONS}*.csv; give the table of it"
                )
            name = names[label]
            if not options.keeps(name) or not options.has(image):
                continue
            classes.add(name)
            confidence = _confidence(row[columns["Confidence"]], where)
            by_machine = source is not None and row[source] == "machine"
            if by_machine or confidence not in (0, 1):
                machine[image, name] = True if confidence >= options.confidence else machine.get((image, name))
            else:
                found.tag(image, name, confidence == 1)
    for (image, name), state in machine.items():
        found.tags.setdefault(image, {}).setdefault(name, state)
    found.classes = [name for name in dict.fromkeys(names.values()) if name in classes]
    return found


def _names(tree: Tree) -> dict[str, str]:
    """Return the names of the labels; the table may lie beside a single file. UserError if there is none."""
    beside = FolderTree(tree.path.parent) if tree.path.is_file() and isinstance(tree, FolderTree) else tree
    names = {
        row[0]: row[1]
        for table in beside.names()
        if DESCRIPTIONS in table and table.lower().endswith(".csv") and not is_hidden(table)
        for _, row in read_rows(beside, table, "a table with the columns LabelName, DisplayName")
        if len(row) >= 2 and row[0] != "LabelName"
    }
    if not names:
        raise UserError(f"{tree.path}: no *{DESCRIPTIONS}*.csv with the names of the labels; put it beside the labels")
    return names


def _confidence(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UserError(f"{where}: confidence {shown(text)}; expected a number from 0 to 1")
    return value
