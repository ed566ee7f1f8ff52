"""The record of a finished training, `train.json`: read here, written with facts of `provenance.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simformer.text.strict_json import NUMBER, read_generated

NUMBERS = ("steps", "seconds", "steps_per_second", "processes", "memory_mb", "gpu_memory_mb", "energy_wh")


def read_record(path: Path) -> dict[str, Any]:
    """Return a training's record; the hash of its settings and its device are in it, the numbers may be.

    Raises: UserError if the file is missing, damaged, or holds something else.
    """
    numbers = dict.fromkeys(NUMBERS, NUMBER)
    record: dict[str, Any] = read_generated(
        path, "record of a training", {"hash": str, "device": str}, optional=numbers
    )
    return record
