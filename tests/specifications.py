"""What a table or figure is made from, as a test writes it down, in place of a study that asks for it."""

import json
from itertools import count
from pathlib import Path

_NUMBER = count()
SUFFIX = ".spec"


def study_of(specification: object, folder: Path) -> Path:
    """Write a specification; returns the value of `--study` for tests with the fixture `specified`."""
    path = folder / f"{next(_NUMBER)}{SUFFIX}"
    path.write_text(json.dumps(specification))
    return path
