"""Reading, merging and resolving configuration: from YAML files to one flat, hashed file per run.

Merge order, later wins: defaults (`settings.py`), dataset file, the study's own `settings` for that dataset,
method file (parents first). Every error is one line that names the file, the key and the nearest valid key.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError

from simformer.atomic import atomic_write_text
from simformer.config.fields import Labels, Seed, Settings
from simformer.config.settings import Draw, TrainSettings
from simformer.errors import UserError, from_here, if_made
from simformer.text.explain import explain, is_section, mistakes, origin
from simformer.text.plain_yaml import dump_plain, load_plain
from simformer.text.to_make import to_make
from simformer.text.visible import visible

RECIPE_VERSION = 1
"""Raised by hand when code changes results (data, labels, training, evaluation): everything is then made again."""

SettingsT = TypeVar("SettingsT", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raises UserError for what is no readable file, no YAML, or refused by `load_plain`."""
    try:
        content = load_plain(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(path.stem, [p.stem for p in path.parent.glob("*.yaml")], n=1)
        hint = f"; did you mean '{path.with_stem(near[0])}'?" if near else from_here(path)
        if (other := path.with_suffix(".yml")) != path and other.exists():
            hint = f"; rename {other} to {path.name}"
        raise UserError(f"{path}: no such file{hint}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a YAML file that you may read") from None
    except yaml.reader.ReaderError as error:
        found = f"the control character {error.character:#04x} at character {error.position}"
        raise UserError(f"{path}: not plain text ({found}); remove it, or save the file as UTF-8") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = " ".join(str(getattr(error, "problem", error)).split())
        raise UserError(f"{path}: {where}not valid YAML ({reason})") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise UserError(f"{path}: expected 'key: value' lines, found {found}")
    return content


def read_study(files: Sequence[Path], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read study files, and what Snakemake's command line sets, with the one meaning that `read_yaml` gives.

    Snakemake reads YAML in another way (`010` is 8), so its own reading of the same files is not used.

    Args:
        files: study files; later ones win.
        overrides: KEY=VALUE, as in `snakemake --config`; they win over the files.
    Raises: UserError as `read_yaml`, and for an override that is no YAML.
    """
    return merge(*map(read_yaml, files), *map(_override, overrides))


def _override(text: str) -> dict[str, Any]:
    key, _, value = text.partition("=")
    try:
        return {key: load_plain(value)}
    except UserError as error:
        raise UserError(f"--config {text}: {error}") from None
    except yaml.YAMLError:
        raise UserError(
            f"--config {text}: the value is not valid YAML; put it in quotes, e.g. {key}='\"a: b\"'"
        ) from None


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings, later layers win; lists and scalars are replaced whole."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse(model: type[SettingsT], content: Mapping[str, Any], source: str, prefix: str = "") -> SettingsT:
    """Validate a mapping as a settings object.

    Args:
        model: the settings class.
        content: the nested mapping read from a file.
        source: file (or origin) named in errors.
        prefix: dotted key of `content` in that file.
    Raises: UserError with one line per mistake.
    """
    try:
        return _validate(model, content)
    except ValidationError as error:
        lines = [explain(model, item, prefix) for item in mistakes(error)]
    except ValueError as error:
        lines = [str(error)]
    raise _refusal(f"{source}: {line}" for line in lines)


def parse_layers(
    model: type[SettingsT], layers: Sequence[tuple[str, Mapping[str, Any]]], prefix: str = ""
) -> SettingsT:
    """Merge layers (source, mapping) and validate; an error names the last file that sets the faulty key."""
    try:
        return _validate(model, merge(*(content for _, content in layers)))
    except ValidationError as error:
        lines = [f"{origin(layers, item['loc'])}: {explain(model, item, prefix)}" for item in mistakes(error)]
        raise _refusal(lines) from None


def check_layer(model: type[BaseModel], content: Mapping[str, Any], source: str, prefix: str) -> None:
    """Check keys and values of one layer by itself, whether or not a run will use it.

    What keys have to do with each other is left to `parse_layers`, since other layers may change it.
    Raises: UserError with one line per mistake.
    """
    try:
        _validate(model, content)
    except ValidationError as error:
        own = [item for item in mistakes(error) if item["type"] != "value_error" or not is_section(model, item["loc"])]
        if own:
            raise _refusal(f"{source}: {explain(model, item, prefix)}" for item in own) from None
    except ValueError as error:
        raise _refusal([f"{source}: {error}"]) from None


def _refusal(lines: Iterable[str]) -> UserError:
    """Return the error of some mistakes, a line each: line breaks in what a user wrote do not break the line."""
    return UserError("\n".join(dict.fromkeys(visible(line, None) for line in lines)))


def _validate(model: type[SettingsT], content: Any) -> SettingsT:
    """Validate without any conversion: a boolean or text is no number, 1.0 is no whole number."""
    return model.model_validate_json(json.dumps(_text_keys(content)), strict=True)


def _text_keys(content: Any) -> Any:
    """Return the same tree with every key as text, as JSON has it; raises ValueError for keys that become the same."""
    if isinstance(content, Mapping):
        tree = {str(key): _text_keys(value) for key, value in content.items()}
        if len(tree) < len(content):
            keys = [str(key) for key in content]
            raise ValueError(
                f"key '{next(k for k in keys if keys.count(k) > 1)}' is given twice, as number and as text"
            )
        return tree
    return [_text_keys(item) for item in content] if isinstance(content, (list, tuple)) else content


class RunConfig(Settings):
    """One training, resolved: who it is, and every setting that decides its weights."""

    dataset: str = Field(description="Dataset name.")
    split: str = Field(description="'split<k>', or 'full' for a training that sees every mask.")
    method: str = Field(description="Method name.")
    seed: Seed = Field(description="Seed of initialisation, data order, augmentation and sampling.")
    labels: Labels = Field(description="Which label maps it trains on.")
    novel: str | Draw | None = Field(
        None,
        description="What the study says of the split's novel classes (`Catalogue.novel`), with which the labels are "
        "compared; no part of the hash.",
    )
    version: int = Field(RECIPE_VERSION, description="Version of the training code's results.")
    settings: TrainSettings = Field(description="All training settings.")

    def flat(self, *, complete: bool = False) -> dict[str, Any]:
        """Return one level of dotted keys, lists instead of tuples.

        Args:
            complete: whether keys marked LATER are told even at their default; without them, the settings (and the
                hash) of a run stay as they were before the code had these keys.
        """
        settings = self.settings.model_dump(mode="json", exclude=None if complete else self.settings.later_defaults())
        return _flatten(self.model_dump(mode="json", exclude={"settings", "novel"})) | _flatten(settings)

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 of the flat settings in canonical JSON."""
        return hashlib.sha256(json.dumps(self.flat(), sort_keys=True).encode()).hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write the flat settings, their hash and the novel classes as YAML, atomically."""
        content = {"hash": self.hash} | self.model_dump(mode="json", include={"novel"}) | self.flat()
        atomic_write_text(path, dump_plain(content, width=100))

    @classmethod
    def load(cls, path: Path) -> RunConfig:
        """Read a resolved file; raises UserError if it is none, cut off, or edited (its hash no longer fits)."""
        again = f"delete it, and `{to_make(path)}` makes it again"
        if not path.exists():
            raise UserError(f"{path}: no such configuration of a run; `{to_make(path)}` makes it")
        try:
            content = read_yaml(path)
            stored = content.pop("hash", None)
            config = cls.from_flat(content, str(path))
        except UserError as error:
            reason = "; ".join(str(error).splitlines())
            raise UserError(
                f"{reason}. Expected the config.yaml of a run, which is generated: {if_made(again)}"
            ) from None
        if stored != config.hash:
            raise UserError(
                f"{path}: hash {stored} does not fit the settings ({config.hash}). This file is generated: edit the "
                f"dataset, method or study file instead; {again}"
            )
        return config

    @classmethod
    def from_flat(cls, content: Mapping[str, Any], source: str) -> RunConfig:
        """Build from dotted keys (what `flat` returns); UserError names `source` if there is a mistake in them."""
        if not isinstance(content, Mapping) or "settings" in content:
            raise UserError(f"{source}: expected flat settings with dotted keys, e.g. {{optim.steps: 100}}")
        nested: dict[str, Any] = {"settings": {}}
        for key, value in content.items():
            section, _, name = str(key).rpartition(".")
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
