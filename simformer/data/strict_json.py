"""JSON that a user wrote or brought along: read strictly, so that nothing in it is dropped in silence."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from simformer.data.files import read_file
from simformer.errors import UserError


def read_json(path: Path, expected: str) -> Any:
    """Return the content of a JSON file, see `parse_json`; also raises UserError if the file cannot be read."""
    return parse_json(read_file(path, "a JSON file"), str(path), expected)


def parse_json(data: str | bytes, where: str, expected: str) -> Any:
    """Return what JSON says.

    Args:
        data: the text, or its bytes in UTF-8, -16 or -32.
        where: the file, for messages.
        expected: the form that it should have, for messages.

    Raises:
        UserError: not JSON, a key given twice in one object (Python would keep the last), or a number that JSON
            does not have (NaN, Infinity).
    """
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        reason = f"no UTF-8 text, {error.reason} at byte {error.start}"
    except RecursionError:
        reason = "brackets nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise UserError(f"{where}: cannot be read as JSON ({reason}); expected {expected}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object as a dictionary; ValueError if it has a key twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"given twice in one object: {', '.join(map(repr, twice))}; keep one")
    return content


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
