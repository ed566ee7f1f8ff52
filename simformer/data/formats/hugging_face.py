"""Hugging Face's ImageFolder: a table beside the images, in any folders.

metadata.jsonl, metadata.csv or metadata.parquet
    file_name          path of the image from the table's folder
    mask_file_name     path of its label map; the names of its values: --names or --colours
    labels, label      its classes: a text, a list, or a number with --names

Paths that are absolute or lead out of the folder are refused, as the library `datasets` does. Source:
huggingface.co/docs/datasets/image_dataset.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from simformer.config.paths import pip_install
from simformer.data.archive import Tree
from simformer.data.coco_shapes import shown
from simformer.data.convert import Member
from simformer.data.formats.annotations import Annotations, Options, subset_of_folder
from simformer.data.formats.name_files import read_names
from simformer.data.formats.names import picture_maker
from simformer.data.formats.plain_csv import LABELS, add_list, split_list
from simformer.data.formats.text_files import read_bytes, read_rows, read_text, refuse_doubled
from simformer.data.layout import LINE_END
from simformer.errors import UserError
from simformer.text.strict_json import parse_json

NAMES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
IMAGE, MASK = "file_name", "mask_file_name"
FORM = f"metadata.jsonl, .csv or .parquet with `{IMAGE}`"


def masks(tree: Tree, options: Options) -> Annotations:
    """Find the label maps that the table names; UserError if it has none, or their values have no names."""
    found = Annotations(str(tree.path))
    make, names = picture_maker(options)
    found.classes = list(dict.fromkeys(name for name in names.values() if name))
    files = set(tree.names())
    column = options.column or MASK
    for where, folder, record in _records(tree, found):
        if record.get(column) in (None, ""):
            continue
        reference = _path(found, where, folder, record[IMAGE])
        file = _path(found, where, folder, record[column])
        if file is not None and file not in files:
            found.problems.append(f"{where}: no {tree.where(file)}, the `{column}`; add it, or leave the value empty")
        elif file is not None and reference is not None:
            found.draw(reference, make(tree.where(file), Member(0, file)))
            if subset := subset_of_folder(reference):
                found.subsets[reference] = subset
    if not found.masks and not found.problems:
        raise UserError(f"{tree.path}: no value of `{column}`; expected the path of a label map; another key: --column")
    return found


def tags(tree: Tree, options: Options) -> Annotations:
    """Read the classes; images without value are passed over. UserError if there are none."""
    found = Annotations(str(tree.path))
    numbers = read_names(options.names, False) if options.names else {}
    seen: set[str] = set()
    for where, folder, record in _records(tree, found):
        seen |= record.keys()
        column = options.column or next((key for key in LABELS if key in record), None)
        value = record.get(column) if column else None
        reference = _path(found, where, folder, record[IMAGE])
        if value is None or reference is None:
            continue
        items = split_list(value) if isinstance(value, str) else value if isinstance(value, list) else [value]
        names = []
        for item in items:
            if isinstance(item, str) and item.isdecimal() and item not in numbers.values():
                item = int(item)  # as CSV has ids
            name = numbers.get(item) if type(item) is int else item
            if not isinstance(name, str) or not name.strip():
                found.problems.append(f"{where}: class {shown(item)}; expected a name, or an id with --names FILE")
            else:
                names.append(name.strip())
        add_list(found, reference, names)
    if not found.tags and not found.problems:
        keys = ", ".join(sorted(seen - {IMAGE}))
        raise UserError(f"{tree.path}: no `labels` in {keys or 'it'}; give the key of the classes: --column KEY")
    return found


def _records(tree: Tree, found: Annotations) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what messages call a record, the folder of its table, and its values."""
    tables = [name for name in tree.names() if name.rpartition("/")[2] in NAMES]
    if not tables and tree.path.is_file():
        tables = tree.names()
    if not tables:
        raise UserError(f"{tree.path}: no metadata; expected {FORM}")
    for table in tables:
        for number, record in _rows(tree, table):
            where = f"{tree.where(table)}: line {number}"
            if not isinstance(record, dict) or not isinstance(record.get(IMAGE), str):
                found.problems.append(f"{where} is {shown(record)}; expected an object with `{IMAGE}`")
                continue
            yield where, table.rpartition("/")[0], record


def _rows(tree: Tree, table: str) -> Iterator[tuple[int, Any]]:
    """Yield the records of one table with their line."""
    if table.endswith(".csv"):
        rows = read_rows(tree, table, FORM)
        header = next(rows)[1]
        refuse_doubled(header, tree.where(table))
        for number, row in rows:
            if len(row) != len(header):
                raise UserError(f"{tree.where(table)}: line {number} has {len(row)} cells, the header {len(header)}")
            yield number, {key: value or None for key, value in zip(header, row, strict=True)}
    elif table.endswith(".parquet"):
        yield from enumerate(_parquet(tree, table), 1)
    else:
        for number, line in enumerate(LINE_END.split(read_text(tree, table)), 1):
            try:
                if line.strip():
                    yield number, parse_json(line)
            except ValueError as error:
                where = f"{tree.where(table)}: line {number}"
                raise UserError(f"{where}: cannot be read as JSON ({error}); expected an object a line") from None


def _parquet(tree: Tree, table: str) -> list[dict[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{tree.where(table)}: parquet needs pyarrow; type: {pip_install('parquet')}") from None
    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(read_bytes(tree, table))).to_pylist()
        return rows
    except pyarrow.ArrowException as error:
        raise UserError(f"{tree.where(table)}: cannot be read as parquet ({error}); copy it again") from None


def _path(found: Annotations, where: str, folder: str, value: Any) -> str | None:
    """Return the path of a file from the tree's top; what leads out of the folder becomes a problem."""
    path = PurePosixPath(str(value).replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        found.problems.append(f"{where}: path {shown(value)}; expected one below the folder of the table")
        return None
    return str(PurePosixPath(folder) / path)
