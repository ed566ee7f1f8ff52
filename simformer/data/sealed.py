"""JSON files that tell whether they were edited: their first entry, the seal, is a hash of all that follows it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from simformer.data.files import atomic_write_text
from simformer.errors import UserError, if_made

SEAL = re.compile(rb'\{"seal": "([0-9a-f]{16})",\n')


def write_sealed(path: Path, text: str) -> None:
    """Write the text of a JSON object with its seal, atomically.

    Args:
        path: the file.
        text: begins with a brace and has at least one entry.
    """
    rest = text.removeprefix("{")
    atomic_write_text(path, f'{{"seal": "{_hash(rest.encode())}",\n{rest}')


def read_sealed(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """Read what `write_sealed` wrote.

    Args:
        path: the file.
        what: it is, for messages, e.g. "label set".
        remedy: what makes it again, the end of a message.
    Raises: UserError for a file that is missing, unreadable, damaged, edited, or of a version without a seal.
    """
    data = _bytes(path, what, remedy)
    if match := SEAL.match(data):
        if _hash(data[match.end() :]) != match[1].decode():
            raise UserError(f"{path}: this {what} was edited, or damaged, after it was written; {remedy}")
        return json.loads(data)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a {what}, or one that is cut off ({reason}); {if_made(remedy)}") from None
    if not isinstance(content, dict) or "seal" in content:
        raise UserError(f"{path}: not a {what}, or one that was edited; {if_made(remedy)}")
    raise UserError(
        f"{path}: not a {what}, or one of an older version, which does not say what it is of; {if_made(remedy)}"
    )


def read_json(path: Path, what: str, remedy: str) -> Any:
    """Read a JSON file without a seal; raises UserError for one that is missing, unreadable or cut off."""
    data = _bytes(path, what, remedy)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a {what}, or one that is cut off ({reason}); {if_made(remedy)}") from None


def _bytes(path: Path, what: str, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such {what}; {remedy}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder; expected a {what}, which is a file; give that") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read this {what} ({error.strerror}); {if_made(remedy)}") from None


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
