"""The prepared layout: the one form on disk that every dataset is brought into before anything else.

<root>/images/<name>.jpg         photographs; other endings of SUFFIXES too, in upper or lower case
<root>/labels/<name>.png         one 8-bit channel: contiguous class id, 255 = ignore
<root>/classes.json              {"names": [...]} in id order; {"tags_only": [...]}: those that have no masks
<root>/train.txt, test.txt       one name per line, without extension
<root>/tags.csv                  image-level labels that somebody stated, if there are any (tags.py)

What the pictures may hold: `simformer.data.images`. Which file belongs to a name: `simformer.data.named_files`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from simformer.atomic import kind_of, read_file
from simformer.config.settings import IGNORE
from simformer.data.class_names import name_problem, normal
from simformer.errors import UserError, did_you_mean, some
from simformer.text.strict_json import read_json

IMAGES, LABELS, CLASSES, TRAIN, TEST = "images", "labels", "classes.json", "train.txt", "test.txt"
TAGS = "tags.csv"
FOLDERS = (IMAGES, LABELS)
PIECES = (IMAGES, LABELS, CLASSES, TRAIN, TEST)
"""Everything the layout must have; `classes.json` and the lists come last when it is put in place."""
ALL_PIECES = (IMAGES, LABELS, TAGS, CLASSES, TRAIN, TEST)
"""The same with what it may have, in the order in which it is put in place."""

FINISHED = ".prepared"
"""Written beside the pieces when a dataset has been prepared (finished.py)."""
MADE_FROM = (FINISHED, "index.json", "audit.json")
"""What is made from the pieces, in the same folder; it ends with them."""

CLASSES_KEYS = ("names", "tags_only", "ignore_label")
CLASSES_FORM = '{"names": ["first class", "second class", ...]} in id order'

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
"""Endings of photographs, in upper or lower case."""

OTHER_PICTURES = (
    ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".jpe", ".jfif", ".pjpeg", ".dng", ".cr2", ".cr3",
    ".nef", ".arw", ".raf", ".orf", ".rw2", ".psd", ".xcf", ".svg", ".ppm", ".pgm", ".pnm", ".tga", ".exr", ".ico",
)  # fmt: skip
"""Endings of pictures that are not read; messages name such files."""

LABEL_SUFFIXES = (".png",)
"""Endings of label maps, in upper or lower case."""

OTHER_NAMES = {
    TEST: ("val.txt", "valid.txt", "validation.txt"),
    TRAIN: ("training.txt", "trainval.txt"),
    IMAGES: ("image", "imgs", "img", "photos"),
    LABELS: ("label", "masks", "mask", "annotations"),
}
"""What the pieces are called elsewhere."""
EXPECTED = "images/, labels/, classes.json, train.txt, test.txt"
"""The pieces, for messages."""
SHOWN = 10
"""Classes that a message names."""

LINE_END = re.compile(r"\r\n|\n|\r")
"""What ends a line of a list. Unicode knows more, which a file's name may hold."""


def unread_pictures(
    files: Iterable[str], endings: tuple[str, ...] = OTHER_PICTURES, instead: str = "JPEG"
) -> str | None:
    """Return a line about the pictures among some files that are not read, or None if there are none."""
    unread = [file for file in files if file.lower().endswith(endings)]
    if not unread:
        return None
    what, them = ("1 picture is", "it") if len(unread) == 1 else (f"{len(unread)} pictures are", "them")
    return f"{what} not read: {some(unread, SHOWN)}; save {them} as {instead}"


def missing_pieces(root: Path) -> list[str]:
    """Return the names of the pieces that a folder lacks, with what is in their place."""
    missing = []
    for piece in PIECES:
        found, wanted = kind_of(root / piece), "a folder" if piece in FOLDERS else None
        if found != wanted:
            missing.append(piece + (_instead(root, piece) if found == "nothing" else f" (found {found or 'a file'})"))
    return missing


def _instead(root: Path, piece: str) -> str:
    """Return what to do if a piece that is not there lies beside under another usual name."""
    wanted = "a folder" if piece in FOLDERS else None
    there = [name for name in OTHER_NAMES.get(piece, ()) if kind_of(root / name) == wanted]
    return f" ({there[0]} is there; if it is meant, rename it to {piece})" if there else ""


def read_classes(root: Path) -> tuple[str, ...]:
    """Return the K class names of `classes.json` in id order, in Unicode's composed form.

    Raises:
        UserError: the file is not {"names": [...]} with 1 to 255 names that can be told apart, holds a key twice,
            or declares an ignore label other than 255.
    """
    path = root / CLASSES
    data = read_json(path, CLASSES_FORM)
    names = data.get("names") if isinstance(data, dict) else None
    if not isinstance(names, list) or not names:
        raise UserError(f"{path}: no list of class names under 'names'; expected {CLASSES_FORM}")
    if len(names) > IGNORE:
        raise UserError(f"{path}: {len(names)} classes; at most {IGNORE} fit, since {IGNORE} means ignore")
    problem = name_problem(names)
    if problem:
        raise UserError(f"{path}: {problem}")
    absent = [key for key in CLASSES_KEYS if key not in data]
    for key in data:  # one that is not ours may be somebody's own, if it is not a misspelt one
        if key not in CLASSES_KEYS and (hint := did_you_mean(key, absent, nearness=0.8)):
            raise UserError(f"{path}: unknown key '{key}'{hint}")
    if data.get("ignore_label", IGNORE) != IGNORE:
        raise UserError(
            f"{path}: ignore_label is {data['ignore_label']}; expected {IGNORE}: renumber the ignored pixels "
            f"of the label maps to {IGNORE}"
        )
    return tuple(map(normal, names))


def read_tags_only(root: Path) -> tuple[int, ...]:
    """Return the ids of the classes that have no masks, ascending: `tags_only` of `classes.json`, else none.

    Raises:
        UserError: see `read_classes`; or `tags_only` is no list of different names of classes, or names all of them.
    """
    path, classes = root / CLASSES, read_classes(root)
    given = read_json(path, CLASSES_FORM).get("tags_only", [])
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise UserError(
            f'{path}: tags_only is no list of names; expected e.g. {{"names": [...], "tags_only": ["cow"]}}'
        )
    names = [normal(name) for name in given]
    for name in names:
        if name not in classes:
            raise UserError(f"{path}: tags_only: unknown class '{name}'{hint_on_class(name, classes)}")
        if names.count(name) > 1:
            raise UserError(f"{path}: tags_only: '{name}' given twice; remove one")
    if len(names) == len(classes):
        raise UserError(f"{path}: tags_only names every class; at least one must have masks, to learn from them")
    return tuple(sorted(map(classes.index, names)))


def hint_on_class(name: str, classes: Sequence[str]) -> str:
    """Return the end of a message about a class that is not there: the nearest name, else all of them."""
    return did_you_mean(name, classes) or f"; the classes are {some(list(map(repr, classes)), SHOWN)}"


def read_names(path: Path) -> list[str]:
    """Return the image names of `train.txt` or `test.txt`, see `decode_names`; UserError if it cannot be read."""
    return decode_names(read_file(path, "list of image names"), str(path))


def decode_names(data: bytes, where: str) -> list[str]:
    """Return the image names of a list given as bytes, one per line.

    Blank lines are skipped, white space around a name is not part of it. Names are in Unicode's composed form, in
    which files are looked for, too.

    Args:
        data: UTF-8 text, with or without a byte order mark, with line ends of any system.
        where: the list, for messages.

    Raises:
        UserError: it is not such a text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: cannot be read as UTF-8 text ({error.reason} at byte {error.start}); "
            "save it as UTF-8, one image name per line"
        ) from error
    return [normal(line.strip()) for line in LINE_END.split(text) if line.strip()]


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
