"""Reading, merging and resolving configuration: from YAML files to one flat, hashed file per run.

Merge order, later wins: defaults (`settings.py`), dataset file, the study's own `settings` for that dataset,
method file (parents first). Every error is one line that names the file, the key and the nearest valid key.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError

from simformer.data.files import atomic_write_text
from simformer.errors import UserError
from simformer.settings import Settings, TrainSettings

RECIPE_VERSION = 1
"""Raised by hand when code changes results (data, labels, training, evaluation): everything is then made again."""

SettingsT = TypeVar("SettingsT", bound=BaseModel)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML loader that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise UserError(f"key '{key}' is given twice in the mapping that starts at line {line}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raises UserError for a missing file, bad syntax or a doubled key."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError:
        near = difflib.get_close_matches(path.stem, [p.stem for p in path.parent.glob("*.yaml")], n=1)
        hint = f"; did you mean '{path.with_stem(near[0])}'?" if near else ""
        raise UserError(f"{path}: no such file{hint}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = " ".join(str(getattr(error, "problem", error)).split())
        raise UserError(f"{path}: {where}not valid YAML ({reason})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected 'key: value' lines, found {type(content).__name__}")
    return content


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings, later layers win; lists and scalars are replaced whole."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            merged[key] = merge(old, value) if both else value
    return merged


def parse(model: type[SettingsT], content: Mapping[str, Any], source: str, prefix: str = "") -> SettingsT:
    """Validate a mapping as a settings object.

    Args:
        model: the settings class.
        content: the nested mapping read from a file.
        source: file (or origin) named in errors.
        prefix: dotted key under which `content` stands in that file.
    Raises: UserError with one line per mistake.
    """
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        lines = [_explain(model, item, prefix) for item in error.errors()]
        raise UserError("\n".join(f"{source}: {line}" for line in lines)) from None


def parse_layers(
    model: type[SettingsT], layers: Sequence[tuple[str, Mapping[str, Any]]], prefix: str = ""
) -> SettingsT:
    """Merge layers (source, mapping) and validate; an error names the last file that sets the faulty key."""
    try:
        return model.model_validate(merge(*(content for _, content in layers)))
    except ValidationError as error:
        lines = [f"{_origin(layers, item['loc'])}: {_explain(model, item, prefix)}" for item in error.errors()]
        raise UserError("\n".join(lines)) from None


def _origin(layers: Sequence[tuple[str, Mapping[str, Any]]], location: Sequence[str | int]) -> str:
    """Name the last file that sets a key; for a whole section, every file that has a part in it."""
    found = [(source, node) for source, content in layers for node in _find(content, location)]
    if found and not isinstance(found[-1][1], Mapping):
        return found[-1][0]
    return " + ".join([source for source, node in found if node] or [source for source, _ in found])


def _find(content: Any, location: Sequence[str | int]) -> list[Any]:
    """Return what stands at a location of nested mappings: one item, or none if there is no such key."""
    for part in location:
        if not isinstance(content, Mapping) or part not in content:
            return []
        content = content[part]
    return [content]


def _explain(model: type[BaseModel], item: Mapping[str, Any], prefix: str) -> str:
    location, place = _follow(model, item["loc"])
    key = ".".join(filter(None, [prefix, *location]))
    if item["type"] == "extra_forbidden":
        names = list(place.model_fields)
        near = difflib.get_close_matches(location[-1], names, n=1, cutoff=0.5)
        parent = ".".join(filter(None, [prefix, *location[:-1]]))
        nearest = f"{parent}.{near[0]}" if parent and near else "".join(near)
        hint = f"did you mean '{nearest}'? " if near else ""
        return f"unknown key '{key}'; {hint}Allowed here: {', '.join(names)}"
    if item["type"] == "value_error":
        message = str(item["ctx"]["error"])
        return f"{key}: {message}" if key else message
    if item["type"] == "missing":
        return f"key '{key}' is missing"
    message = item["msg"][0].lower() + item["msg"][1:]
    return f"key '{key}': {message}, found {item['input']!r}"


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
        if field and field.discriminator:
            tagged = {t.model_fields[field.discriminator].default: t for t in found}
    return keys, model


def _arguments(annotation: Any) -> list[Any]:
    direct = list(get_args(annotation))
    return direct + [inner for a in direct for inner in _arguments(a)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


class RunConfig(Settings):
    """One training, resolved: who it is, and every setting that decides its weights."""

    dataset: str = Field(description="Dataset name.")
    split: str = Field(description="'split<k>', or 'full' for a training that sees every mask.")
    method: str = Field(description="Method name.")
    seed: int = Field(ge=0, description="Seed of initialisation, data order, augmentation and sampling.")
    labels: Literal["weak", "crop", "full", "pseudo", "fill", "maps"] = Field(
        description="Which label maps it trains on."
    )
    version: int = Field(RECIPE_VERSION, description="Version of the training code's results.")
    settings: TrainSettings = Field(description="All training settings.")

    def flat(self) -> dict[str, Any]:
        """Return one level of dotted keys, complete, lists instead of tuples."""
        return _flatten(self.model_dump(mode="json", exclude={"settings"})) | _flatten(
            self.settings.model_dump(mode="json")
        )

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 of the flat settings in canonical JSON."""
        return hashlib.sha256(json.dumps(self.flat(), sort_keys=True).encode()).hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write the flat settings and their hash as YAML, atomically."""
        atomic_write_text(path, yaml.safe_dump({"hash": self.hash} | self.flat(), sort_keys=False, width=100))

    @classmethod
    def load(cls, path: Path) -> RunConfig:
        """Read a resolved file; raises UserError if it was edited (its hash no longer fits)."""
        content = read_yaml(path)
        stored = content.pop("hash", None)
        config = cls.from_flat(content, str(path))
        if stored != config.hash:
            raise UserError(
                f"{path}: hash {stored} does not fit the settings ({config.hash}). This file is generated: "
                "edit the dataset, method or study file instead and run snakemake again"
            )
        return config

    @classmethod
    def from_flat(cls, content: Mapping[str, Any], source: str) -> RunConfig:
        """Build from dotted keys (what `flat` returns)."""
        nested: dict[str, Any] = {"settings": {}}
        for key, value in content.items():
            section, _, name = key.rpartition(".")
            target = nested["settings"].setdefault(section, {}) if section else nested
            target[name] = value
        return parse(cls, nested, source)


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
