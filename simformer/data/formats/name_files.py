"""The file of `--names`: names of ids, in lines, as a table, in JSON or in YAML.

grass           one name per line in id order; a blank line is an id without a name, which means no class
0,grass         lines `id,name`, with or without a line of headings; comma, semicolon, tab, colon or blank between
["grass", ...]  JSON: a list, {"names": [...]} or {"0": "grass", ...}, as in `id2label`
names: [grass]  YAML of the same forms, as YOLO's data.yaml

A number never becomes part of a name, and a line of headings never becomes a name: whatever looks like one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from simformer.config.settings import IGNORE
from simformer.data.class_names import normal
from simformer.data.coco_shapes import shown
from simformer.data.formats.text_files import read_own
from simformer.data.layout import LINE_END
from simformer.errors import UserError, first_line
from simformer.text.plain_yaml import load_plain
from simformer.text.strict_json import parse_json

NAMES_FORM = "one name per line in id order, lines `id,name`, JSON or YAML"
NUMBERED = re.compile(r"[\"']?(\d+)[\"']?(?:\s*([,;:\t=)])\s*|\.?\s+)(.*)|(\d+)[,;:\t]?")
"""`7,road`: an id, what separates, and its name; `7` alone has no name."""
NUMBER_CELL = re.compile(r"(?:^|[,;:\t=])\s*[\"']?\d+[\"']?\s*(?:$|[,;:\t=])")
"""A number between separators."""
HEADINGS = {
    "id", "ids", "index", "idx", "value", "values", "class", "classes", "name", "names", "label", "labels", "category",
    "categories", "class_id", "class id", "classid", "label_id", "category_id", "class_name", "class name", "classname",
    "label_name", "category_name", "number", "train_id", "trainid",
}  # fmt: skip
"""Words of a line of headings."""
YAML_NAMES = re.compile(r"(?:names|id2label)\s*:.*", re.I)
YAML_ENDINGS = (".yaml", ".yml")


def read_names(path: Path, reduce_zero_label: bool) -> dict[int, str | None]:
    """Return the names of ids.

    Args:
        path: one of the forms above.
        reduce_zero_label: 0 means no class, and names without ids count from 1.

    Raises:
        UserError: it has another form, or two ids share a name.
    """
    text = read_own(path)
    lines = [line.strip() for line in LINE_END.split(text.rstrip())]
    shown = [line for line in lines if line]
    if text.lstrip().startswith(("{", "[")) and path.suffix.lower() not in YAML_ENDINGS:
        found = _names_of(path, _json(path, text))
    elif path.suffix.lower() in YAML_ENDINGS or _is_yaml(shown):
        found = _names_of(path, _yaml(path, text))
    else:
        found = _names_of_lines(path, lines)
    names: dict[int, str | None]
    if isinstance(found, list):
        names = {number: name.strip() or None for number, name in enumerate(found, int(reduce_zero_label))}
    else:
        names = {number: (name or "").strip() or None for number, name in found.items()}
    if not any(names.values()):
        raise UserError(f"{path}: has no name; expected {NAMES_FORM}")
    if max(names) > IGNORE:
        raise UserError(f"{path}: {len(names)} names of ids up to {max(names)}; an id is a number from 0 to {IGNORE}")
    if reduce_zero_label:
        names[0] = None
    refuse_shared_names(path, names, lambda value: f"id {value}")
    return names


def refuse_shared_names(path: Path, names: Mapping[int, str | None], show: Callable[[int], str]) -> None:
    """Raise UserError if two values of label maps have one name, since their classes would become one.

    Args:
        path: the file of the names.
        names: name by value; None for no class.
        show: what messages call a value.
    """
    first: dict[str, int] = {}
    for value, name in names.items():
        if name and (other := first.setdefault(normal(name), value)) != value:
            raise UserError(
                f"{path}: {show(other)} and {show(value)} have the same name, '{name}'; give each its own name (if "
                f"both are one class, call the second one e.g. '{name} 2' and add --rename '{name} 2={name}')"
            )


def _json(path: Path, text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); expected {NAMES_FORM}") from None


def _is_yaml(lines: list[str]) -> bool:
    first = next((line for line in lines if not line.startswith("#")), "")
    return any(YAML_NAMES.fullmatch(line) for line in lines) or (
        first.startswith("- ") and all(line.startswith(("- ", "#")) for line in lines)
    )


def _yaml(path: Path, text: str) -> Any:
    try:
        return load_plain(text)
    except (UserError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({first_line(error)}); expected {NAMES_FORM}") from None


def _names_of(path: Path, content: Any) -> list[str] | dict[int, str | None]:
    """Return the names that JSON or YAML holds."""
    if isinstance(content, dict):
        content = content.get("names", content.get("id2label", content))
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    if isinstance(content, dict) and all(
        str(key).isascii() and str(key).isdigit() and isinstance(name, str | None) for key, name in content.items()
    ):
        names = {int(key): name for key, name in content.items()}
        if len(names) == len(content):
            return names
    raise UserError(f'{path}: no names of ids; expected a list of names, or {{"0": "wall", "1": "road", ...}}')


def _names_of_lines(path: Path, lines: list[str]) -> list[str] | dict[int, str | None]:
    """Return names in order, or by id where every line, one of headings aside, begins with one."""
    found = {
        number: NUMBERED.fullmatch(line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")
    }
    numbers = list(found)
    headed = bool(numbers) and found[numbers[0]] is None
    matches = {number: match for number, match in found.items() if match is not None}
    if not matches or len(matches) + headed < len(numbers):
        return _in_order(path, lines)
    first = next(iter(matches.values()))
    if len(numbers) == 1 and first[2] is None and first[4] is None:
        return _in_order(path, lines)  # one name alone, such as `4 wheeler`
    if headed:
        _check_headings(path, numbers[0], lines[numbers[0] - 1], first[2])
    return _by_id(path, matches)


def _check_headings(path: Path, number: int, line: str, separator: str | None) -> None:
    """Raise UserError unless a line before numbered ones is one of headings."""
    cells = [cell.strip(" \"'") for cell in (line.split(separator) if separator else re.split(r"[,;:\t ]+", line))]
    known = any(cell.lower() in HEADINGS for cell in [*cells, line.lower()])
    if not known and not (separator in (",", ";", "\t") and len(cells) > 1 and all(cells)):
        raise UserError(
            f"{path}: line {number} has no id: {shown(line)}, but all lines below it have one; write id,name in it, or "
            "remove it"
        )


def _by_id(path: Path, found: dict[int, re.Match[str]]) -> dict[int, str | None]:
    names: dict[int, str | None] = {}
    first: dict[int, int] = {}
    for number, match in found.items():
        key, name = int(match[1] or match[4]), (match[3] or "").strip()
        quoted = name[:1] in ("'", '"') and name[-1:] == name[:1] and len(name) > 1
        if not quoted:
            name = name.rstrip(",;\t ")
            if match[2] in (",", ";", "\t") and match[2] in name:
                raise UserError(
                    f"{path}: line {number} has more than two cells: {shown(match[0])}; expected id,name, and quotes "
                    f'around a name that holds a separator: {key},"a, b"'
                )
        if key in first:
            raise UserError(f"{path}: id {key} is given twice, in lines {first[key]} and {number}; keep one line")
        first[key] = number
        names[key] = name.strip("\"' ") or None
    return names


def _in_order(path: Path, lines: list[str]) -> list[str]:
    """Return lines as names; UserError for those that are no names."""
    first = next((line for line in lines if line), "")
    cells = [cell.strip(" \"':").lower() for cell in re.split("[,;\t]", first)]
    if len(lines) > 1 and HEADINGS.intersection(cells):
        raise UserError(
            f"{path}: begins with {shown(first)}, which looks like a heading and would be the name of an id; remove "
            "this line, or, if it is a class, write id,name in every line"
        )
    for number, line in enumerate(lines, 1):
        where = f"{path}: line {number} is {shown(line)}"
        if line.startswith("#"):
            raise UserError(f"{where}, a comment, which would be the name of an id; remove it")
        if NUMBER_CELL.search(line):
            raise UserError(
                f"{where}: a number beside a name; write id,name in every line, or names alone, one per line; for "
                "colours: --colours"
            )
    return lines
