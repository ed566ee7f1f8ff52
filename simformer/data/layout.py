"""The prepared layout: the one form on disk that every dataset is brought into before anything else.

<root>/images/<name>.(jpg|png)   photographs
<root>/labels/<name>.png         one 8-bit channel: contiguous class id, 255 = ignore
<root>/classes.json              {"names": [...]} in id order
<root>/train.txt, test.txt       one name per line, without extension
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from simformer.errors import UserError
from simformer.settings import IGNORE

IMAGES, LABELS, CLASSES, TRAIN, TEST = "images", "labels", "classes.json", "train.txt", "test.txt"
FOLDERS = (IMAGES, LABELS)
PIECES = (IMAGES, LABELS, CLASSES, TRAIN, TEST)
"""Everything the layout consists of; `classes.json` and the lists come last when it is put in place."""

FINISHED = ".prepared"
"""Written beside the pieces when a dataset has been prepared (finished.py)."""
MADE_FROM = (FINISHED, "index.json", "audit.json")
"""What is made from the pieces, in the same folder; it ends with them."""

CLASSES_FORM = '{"names": ["first class", "second class", ...]} in id order'

SUFFIXES = (".jpg", ".png")
"""Extensions of photographs, in the order in which they are looked for."""


EXPECTED = "images/, labels/, classes.json, train.txt, test.txt"
"""The pieces, for messages."""


def missing_pieces(root: Path) -> list[str]:
    """Return the names of the pieces that a folder lacks."""
    return [
        piece for piece in PIECES if not ((root / piece).is_dir() if piece in FOLDERS else (root / piece).is_file())
    ]


def read_classes(root: Path) -> tuple[str, ...]:
    """Return the K class names of `classes.json` in id order.

    Raises:
        UserError: the file is not {"names": [...]} with 1 to 255 different names, or declares an ignore
            label other than 255.
    """
    path = root / CLASSES
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); expected {CLASSES_FORM}") from error
    names = data.get("names") if isinstance(data, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"{path}: no list of class names under 'names'; expected {CLASSES_FORM}")
    if len(names) > IGNORE:
        raise UserError(f"{path}: {len(names)} classes; at most {IGNORE} fit, since {IGNORE} means ignore")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UserError(f"{path}: class name given more than once: {', '.join(twice)}; names must differ")
    if data.get("ignore_label", IGNORE) != IGNORE:
        raise UserError(
            f"{path}: ignore_label is {data['ignore_label']}; expected {IGNORE}: renumber the ignored pixels "
            f"of the label maps to {IGNORE}"
        )
    return tuple(names)


def read_names(path: Path) -> list[str]:
    """Return the image names of `train.txt` or `test.txt`; blank lines are skipped.

    Raises:
        UserError: the file cannot be read as UTF-8 text.
    """
    try:
        return decode_names(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error}); expected one image name per line") from error


def decode_names(data: bytes, where: str) -> list[str]:
    """Return the image names of a list given as bytes, one per line; `where` names it in the UserError."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except ValueError as error:
        raise UserError(f"{where}: cannot be read ({error}); expected one image name per line") from error
    return [line.strip() for line in lines if line.strip()]


def write_lists(root: Path, names: Sequence[str], train: Sequence[str], test: Sequence[str]) -> None:
    """Write `classes.json`, `train.txt` and `test.txt` of a layout that is being built.

    Args:
        root: folder of the layout.
        names: the K class names in id order.
        train, test: image names of the two subsets.
    """
    (root / CLASSES).write_text(json.dumps({"names": list(names)}, indent=1) + "\n", encoding="utf-8")
    (root / TRAIN).write_text("".join(f"{name}\n" for name in train), encoding="utf-8")
    (root / TEST).write_text("".join(f"{name}\n" for name in test), encoding="utf-8")
