"""What pydantic found wrong, as one line with the key as it is written and the nearest valid key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, ValidationError

from simformer.errors import did_you_mean

SHOWN = 60
"""Characters of a faulty value that are shown."""
PLAIN = {
    "dict_type": "should be a mapping of keys to values",
    "model_type": "should be a mapping of keys to values",
    "model_attributes_type": "should be a mapping of keys to values",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "bool_type": "should be true or false",
    "string_type": "should be text (numbers and words such as true in quotes)",
    "finite_number": "should be a finite number",
    "too_short": "should have at least one entry",
    "int_parsing": "should be a whole number",
}
"""Words for what pydantic tells a programmer."""


def mistakes(error: ValidationError) -> list[dict[str, Any]]:
    """Return the errors of pydantic but those that follow from others: a list is empty without its bad items.

    Keys that are missing in one place are one mistake: the first one has the names of all, as `missing`.
    """
    items: list[dict[str, Any]] = [dict(item) for item in error.errors()]
    bad = {item["loc"][:-1] for item in items}
    items = [item for item in items if item["type"] != "too_short" or item["loc"] not in bad]
    missing: dict[tuple[str | int, ...], list[str]] = {}
    for item in items:
        if item["type"] == "missing":
            item["missing"] = missing.setdefault(item["loc"][:-1], [])
            item["missing"].append(str(item["loc"][-1]))
    return [item for item in items if "missing" not in item or item["missing"][0] == str(item["loc"][-1])]


def explain(model: type[BaseModel], item: Mapping[str, Any], prefix: str) -> str:
    """Explain one error of pydantic.

    Args:
        model: the settings class that was validated.
        item: one of `ValidationError.errors()`.
        prefix: dotted key of the content in its file.
    """
    location, place = _follow(model, item["loc"])
    key = ".".join(filter(None, [prefix, *location]))
    if item["type"] == "extra_forbidden":
        parent = [*filter(None, [prefix]), *location[:-1]]
        near = _nearest(place, location[-1])
        hint = f"did you mean '{'.'.join([*parent, near])}'? " if near else ""
        return f"unknown key '{key}'; {hint}Allowed here: {', '.join(place.model_fields)}"
    if item["type"] == "value_error":
        of_value = bool(location) and location[-1] in place.model_fields
        return f"{key}{' ' if of_value else ': ' if key else ''}{item['ctx']['error']}"
    if item["type"] == "missing":
        keys = [".".join(filter(None, [prefix, *location[:-1], name])) for name in item["missing"]]
        return f"key '{keys[0]}' is missing" if len(keys) == 1 else f"keys {', '.join(keys)} are missing"
    if item["type"] == "union_tag_not_found":
        return f"key '{key}.kind' is missing"
    if item["type"] == "union_tag_invalid":
        known = [tag.strip("'") for tag in item["ctx"]["expected_tags"].split(", ")]
        tag = str(item["ctx"]["tag"])
        hint = did_you_mean(tag, known, f"Known: {', '.join(known)}")
        return f"{key}.kind: unknown kind '{tag}'{hint}"
    if not key:
        return f"expected a mapping of keys to values, or a list of them; found {shown(item['input'])}"
    if item["type"] == "tuple_type":
        return f"key '{key}': should be a list, {_as_list(item['input'])}found {shown(item['input'])}"
    message = PLAIN.get(item["type"]) or item["msg"][0].lower() + item["msg"][1:]
    return f"key '{key}': {message}, found {shown(item['input'])}"


def _as_list(value: Any) -> str:
    """Return a value as the list of it that may be meant, for messages."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or len(str(value)) > SHOWN:
        return ""
    items = re.split(r"\s*,\s*", value.strip()) if isinstance(value, str) else [str(value)]
    plain = all(re.fullmatch(r"[\w.-]+( [\w.-]+)*", item) for item in items)
    return f"e.g. [{', '.join(items)}], " if plain else ""


def shown(value: Any) -> str:
    """Return a faulty value as text, the middle of a long one left out."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]} ... {text[-SHOWN // 2 :]}"


def origin(layers: Sequence[tuple[str, Mapping[str, Any]]], location: Sequence[str | int]) -> str:
    """Name the last file that sets a key; for a whole section, every file that has a part in it."""
    found = [(source, node) for source, content in layers for node in _find(content, location)]
    if found and not isinstance(found[-1][1], Mapping):
        return found[-1][0]
    return " + ".join([source for source, node in found if node] or [source for source, _ in found])


def is_section(model: type[BaseModel], location: Sequence[str | int]) -> bool:
    """Tell whether a location is a settings class, and not a value in one."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None or not _is_model(field.annotation):
            return False
        model = field.annotation
    return True


def _nearest(place: type[BaseModel], name: str) -> str:
    """Return the valid key that was meant, or ''; a key of a section below comes with the section: `optim.steps`."""
    sections = {key: field.annotation for key, field in place.model_fields.items() if _is_model(field.annotation)}
    for section, model in sections.items():
        if name in model.model_fields:
            return f"{section}.{name}"
    return next(iter(difflib.get_close_matches(name, place.model_fields, n=1, cutoff=0.5)), "")


def _find(content: Any, location: Sequence[str | int]) -> list[Any]:
    """Return what is at a location in nested mappings and lists: one item, or none if there is no such key."""
    for part in location:
        inside = isinstance(content, (list, tuple)) and isinstance(part, int) and part < len(content)
        if not inside and not (isinstance(content, Mapping) and part in content):
            return []
        content = content[part]
    return [content]


def _follow(model: type[BaseModel], location: Sequence[str | int]) -> tuple[list[str], type[BaseModel]]:
    """Follow an error's location: the keys as they are written, and the settings class that they lead to.

    Levels of plain mappings are passed over; the tag of a union chooses its class and is not a key.
    """
    keys: list[str] = []
    tagged: dict[str, type[BaseModel]] = {}
    for part in (str(part) for part in location if part != "[key]"):
        if part in tagged:
            model, tagged = tagged[part], {}
            continue
        keys.append(part)
        field, tagged = model.model_fields.get(part), {}
        found = [t for t in (field.annotation, *_arguments(field.annotation)) if _is_model(t)] if field else []
        if found:
            model = found[0]
        if field and isinstance(field.discriminator, str):
            tagged = {t.model_fields[field.discriminator].default: t for t in found}
    return keys, model


def _arguments(annotation: Any) -> list[Any]:
    direct = list(get_args(annotation))
    return direct + [inner for a in direct for inner in _arguments(a)]


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
