"""Texts, tables and JSON as other programs write them: any usual encoding, byte order mark, line end and separator."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simformer.atomic import read_file
from simformer.data.archive import BROKEN_ARCHIVE, FolderTree, Tree, open_tree, reading
from simformer.data.coco_shapes import shown
from simformer.data.signatures import HEAD, spreadsheet
from simformer.errors import UserError, some
from simformer.text.strict_json import parse_json

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
SEPARATORS = (",", ";", "\t")
ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".xml", ".parquet")
"""Of files of annotations that stand for themselves."""
LARGEST_FIELD = 2**28
"""Characters of one cell: brushes in a CSV of Label Studio are long."""
SHOWN, LONGEST_NAME = 10, 40
"""Columns that a message names, and characters of each."""


def open_source(path: Path) -> Tree:
    """Open a file of annotations as it is, and anything else with `open_tree`, as archives and folders."""
    single = path.is_file() and path.suffix.lower() in ENDINGS
    if path.is_file():
        with reading(path), path.open("rb") as file:
            refuse_spreadsheet(file.read(HEAD), str(path))
    return FolderTree(path) if single else open_tree(path)


def refuse_spreadsheet(head: bytes, where: str) -> None:
    """Raise UserError if a file that should be a table of text begins like that of a spreadsheet program."""
    if kind := spreadsheet(head):
        raise UserError(f"{where}: {kind}; save it as CSV UTF-8 and give that file")


def read_bytes(tree: Tree, name: str) -> bytes:
    """Return the content of a file of a source; UserError if it cannot be read."""
    try:
        return tree.read(name)
    except BROKEN_ARCHIVE as error:
        raise UserError(
            f"{tree.where(name)}: cannot be read ({type(error).__name__}: {error}); copy or download it again"
        ) from error


def read_text(tree: Tree, name: str) -> str:
    """Return the text of a file, without its byte order mark; UserError if it is no UTF-8 or UTF-16."""
    return _decoded(read_bytes(tree, name), tree.where(name))


def read_own(path: Path) -> str:
    """Return the text of a file that an option names, see `read_text`."""
    return _decoded(read_file(path, "a text file"), str(path))


def read_json(tree: Tree, name: str, expected: str) -> Any:
    """Return what a JSON file says; UserError with the form that was expected if it cannot be read."""
    try:
        return parse_json(read_text(tree, name))
    except ValueError as error:
        raise UserError(f"{tree.where(name)}: cannot be read as JSON ({error}); expected {expected}") from None


def read_rows(tree: Tree, name: str, expected: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table with the number of their last line, the header first; blank ones are passed over.

    The table is read as it is asked for: those of Open Images have millions of rows. The separator is the one of comma,
    semicolon and tab that the header has most of. Cells lose the white space around them.

    Args:
        tree, name: the file.
        expected: its form, for messages.

    Raises:
        UserError: it is no text, has no row, or quotes that do not end.
    """
    where = tree.where(name)
    csv.field_size_limit(LARGEST_FIELD)
    with tree.open(name) as file:
        start = file.peek(HEAD)
        refuse_spreadsheet(start[:HEAD], where)
        text = io.TextIOWrapper(file, _encoding(start), newline="")
        try:
            header = text.readline()
            while header and not header.strip():
                header = text.readline()
            if not header:
                raise UserError(f"{where}: empty; expected {expected}")
            separator = max(SEPARATORS, key=header.count)
            rows = csv.reader(_all(header, text), delimiter=separator, skipinitialspace=True, strict=True)
            for row in rows:
                if any(cell.strip() for cell in row):
                    yield rows.line_num, [cell.strip() for cell in row]
        except UnicodeDecodeError as error:
            raise _no_text(where, error) from error
        except csv.Error as error:
            ends = f"{where}: line {rows.line_num}: {error}; do its quotes end? Expected {expected}"
            raise UserError(ends) from None


def refuse_doubled(header: list[str], where: str) -> None:
    """Raise UserError if two columns of a table have one name."""
    if doubled := [name for name, count in Counter(header).items() if name and count > 1]:
        raise UserError(f"{where}: column {shown(doubled[0])} is there twice; remove one, or rename it")


def listed(names: list[str]) -> str:
    """Return the names of columns for a message, in one short line."""
    return some([name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in names], SHOWN)


def _decoded(data: bytes, where: str) -> str:
    refuse_spreadsheet(data[:HEAD], where)
    try:
        return data.decode(_encoding(data))
    except UnicodeDecodeError as error:
        raise _no_text(where, error) from error


def _encoding(data: bytes) -> str:
    """Return the encoding that the first bytes of a file tell."""
    return next((encoding for mark, encoding in MARKS if data.startswith(mark)), "utf-8")


def _all(header: str, text: io.TextIOWrapper) -> Iterator[str]:
    yield header
    yield from text


def _no_text(where: str, error: UnicodeDecodeError) -> UserError:
    return UserError(
        f"{where}: cannot be read as UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8, in a "
        "spreadsheet as 'CSV UTF-8'"
    )
