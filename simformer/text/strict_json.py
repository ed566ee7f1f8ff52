"""Strict reading of JSON: nothing is dropped silently, and every problem is reported in one line.

Only COCO's annotation files are read elsewhere (`data/coco_annotations.py`), because their objects must be made small
while they are read. JSON that the package itself holds, or has just written into a string, needs no such care.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any

from simformer.atomic import read_file
from simformer.errors import MAKES_IT, UserError, if_made
from simformer.text.explain import shown
from simformer.text.to_make import made_by

Kind = type | UnionType
"""What `isinstance` takes; no value of ours is true or false."""
NUMBER = float | int | None
"""A number of ours; JSON's null where there is none."""
NOTHING: Mapping[str, Kind] = MappingProxyType({})


def parse_json(data: str | bytes) -> Any:
    """Return what JSON says.

    Args:
        data: the text, or its bytes in UTF-8, -16 or -32.

    Raises:
        ValueError: the reason in one line. It is not JSON, a key is given twice in one object (Python would keep the
            last), or there is a number that JSON does not have (NaN, Infinity).
    """
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        reason = f"no UTF-8 text, {error.reason} at byte {error.start}"
    except RecursionError:
        reason = "brackets nested too deeply"
    except ValueError as error:
        reason = "a number of thousands of digits" if "set_int_max_str_digits" in str(error) else str(error)
    raise ValueError(reason)


def read_option(text: str, option: str) -> Any:
    """Return what an option of the command line says in JSON; UserError if it cannot be read."""
    try:
        return parse_json(text)
    except ValueError as error:
        raise UserError(f"{option}: cannot be read as JSON ({error}); found {shown(text)}") from None


def read_json(path: Path, expected: str) -> Any:
    """Return the content of a JSON file that a user wrote or brought along.

    Args:
        path: the file.
        expected: the form that it should have, for messages.

    Raises:
        UserError: it is missing, no plain file, or cannot be read.
    """
    try:
        return parse_json(read_file(path, "a JSON file"))
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); expected {expected}") from None


def read_generated(
    path: Path,
    what: str,
    types: Mapping[str, Kind] = NOTHING,
    *,
    optional: Mapping[str, Kind] = NOTHING,
    remedy: str = MAKES_IT,
    missing: str = "",
) -> Any:
    """Return the content of a JSON file that one of our stages wrote.

    Args:
        path: the file.
        what: it is, for messages, e.g. "file of metrics".
        types: of the values that it must have; if any are named, it must be an object.
        optional: types of values that it may have.
        remedy: what makes it again, the end of a message.
        missing: the same for a file that is not there; '' for the rule that makes it.

    Raises:
        UserError: it is missing, unreadable, cut off, lacks a value, or has one of another type.
    """
    content = parse_generated(generated_bytes(path, what, remedy, missing), path, what, remedy)
    absent = [key for key in types if not isinstance(content, dict) or key not in content]
    if absent:
        raise UserError(f"{path}: not a {what}, or one without '{', '.join(absent)}'; {if_made(remedy)}")
    for key, kind in {**optional, **types}.items():
        if key in content and (isinstance(content[key], bool) or not isinstance(content[key], kind)):
            found = shown(content[key])
            raise UserError(f"{path}: '{key}' of this {what} was edited, or damaged; found {found}; {if_made(remedy)}")
    return content


def generated_bytes(path: Path, what: str, remedy: str, missing: str = "") -> bytes:
    """Return the bytes of a file that one of our stages wrote, see `read_generated`; UserError if there are none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such {what}; {missing or made_by(path)}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder; expected a {what}, which is a file; give that") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read this {what} ({error.strerror}); {if_made(remedy)}") from None


def parse_generated(data: bytes, path: Path, what: str, remedy: str) -> Any:
    """Return what the bytes of such a file say, see `read_generated`; UserError if they are no JSON."""
    try:
        return parse_json(data)
    except ValueError as error:
        raise UserError(f"{path}: not a {what}, or one that is cut off ({error}); {if_made(remedy)}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object as a dictionary; ValueError if it has a key twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {twice!r} is given twice in one object; keep one")
    return content


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
