"""JSON files that show whether they were edited: their first entry, the seal, is a hash of everything after it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simformer.atomic import atomic_write_text
from simformer.errors import MAKES_IT, UserError, if_made
from simformer.text.strict_json import generated_bytes, parse_generated

SEAL = re.compile(rb'\{"seal": "([0-9a-f]{16})",\n')


def write_sealed(path: Path, text: str) -> None:
    """Write the text of a JSON object with its seal, atomically.

    Args:
        path: the file.
        text: begins with a brace and has at least one entry.
    """
    rest = text.removeprefix("{")
    atomic_write_text(path, f'{{"seal": "{_hash(rest.encode())}",\n{rest}')


def read_sealed(path: Path, what: str, remedy: str = MAKES_IT) -> dict[str, Any]:
    """Read what `write_sealed` wrote.

    Args:
        path: the file.
        what: it is, for messages, e.g. "label set".
        remedy: what makes it again, the end of a message.
    Raises: UserError for a file that is missing, unreadable, damaged, edited, or of a version without a seal.
    """
    data = generated_bytes(path, what, remedy)
    match = SEAL.match(data)
    if match and _hash(data[match.end() :]) != match[1].decode():
        raise UserError(f"{path}: this {what} was edited, or damaged, after it was written; {remedy}")
    content = parse_generated(data, path, what, remedy)
    if match:
        sealed: dict[str, Any] = content
        return sealed
    if not isinstance(content, dict) or "seal" in content:
        raise UserError(f"{path}: not a {what}, or one that was edited; {if_made(remedy)}")
    raise UserError(
        f"{path}: not a {what}, or one of an older version, which did not say what it belongs to; {if_made(remedy)}"
    )


def entry(image: Any) -> dict[str, Any]:
    """Return the fields of an image, a dataclass, for JSON.

    `unknown` is left out where nothing is: what is hashed is then that of a dataset in which all masks exist.
    """
    fields = asdict(image)
    return fields if fields["unknown"] else {name: value for name, value in fields.items() if name != "unknown"}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
