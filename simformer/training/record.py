"""What trainings tell of themselves: `train.json` of a finished one, and a record beside the state of one that is not.

Both are read here, without PyTorch, by commands that only look.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from simformer.errors import UserError
from simformer.text.plain_yaml import load_plain
from simformer.text.strict_json import NUMBER, read_generated

NUMBERS = ("steps", "seconds", "steps_per_second", "processes", "memory_mb", "gpu_memory_mb", "energy_wh")
STATE_RECORD = "state.json"
"""File beside a saved state: to what settings and novel classes it belongs, and from what it was made."""
INPUTS = "inputs"
"""Key of that file: the hashes of all that decides the result, by the names that a refusal gives them."""

RESUMED_AT = "resumed_at"
"""File beside a saved state: how many steps were done when the present attempt began."""


def read_record(path: Path) -> dict[str, Any]:
    """Return a training's record; the hash of its settings and its device are in it, the numbers may be.

    Raises: UserError if the file is missing, damaged, or holds something else.
    """
    numbers = dict.fromkeys(NUMBERS, NUMBER)
    record: dict[str, Any] = read_generated(
        path, "record of a training", {"hash": str, "device": str}, optional=numbers
    )
    return record


def state_record(folder: Path) -> dict[str, Any]:
    """Return what the saved state in a run directory belongs to: `hash`, `novel` and INPUTS, as far as it is known.

    A state of an older version has no record of its own: it belongs to the run's config.yaml.
    """
    path = folder / "state" / STATE_RECORD
    if path.exists():
        remedy = f"delete {path.parent} to start over"
        record: dict[str, Any] = read_generated(
            path, "record of a saved state", {"hash": str}, optional={INPUTS: dict}, remedy=remedy
        )
        return record
    return _resolved(folder)


def resumed_at(state: Path) -> int:
    """Return how many steps were done when the last attempt of a training began; 0 if its state does not tell."""
    with suppress(OSError, ValueError):
        return int((state / RESUMED_AT).read_text())
    return 0


def belongs(record: dict[str, Any], folder: Path, settings: str, novel: object) -> bool:
    """Return whether a training or a state is of some settings and of a split's novel classes.

    Args:
        record: `read_record` or `state_record`; one of an older version says nothing of novel classes, but the run's
            config.yaml does.
        folder: run directory.
        settings: hash of the settings that the study has now.
        novel: `Catalogue.novel` of the study as it is now.
    """
    if record.get("hash", settings) != settings:
        return False
    known = record if "novel" in record else _resolved(folder)
    return not known or known.get("novel") == novel


def _resolved(folder: Path) -> dict[str, Any]:
    """Return hash and novel classes from the config.yaml of a run; nothing if there is none that can be read."""
    with suppress(OSError, ValueError, UserError, AttributeError):
        head, _, _ = (folder / "config.yaml").read_text(encoding="utf-8").partition("\ndataset:")
        content = load_plain(head)
        return {key: content[key] for key in ("hash", "novel") if key in content}
    return {}


def file_hash(path: Path | None) -> str:
    """Return the first 16 hex digits of a file's sha256, 'none' without a file: for the identity of a state."""
    if path is None:
        return "none"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
