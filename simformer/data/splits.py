"""Base/novel class splits: from names, from a pinned file, or 3:1 at random from a seed (Sec. 4.1)."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from simformer.config import read_yaml
from simformer.data.files import atomic_write_text
from simformer.errors import UserError


@dataclass(frozen=True)
class Split:
    """Which classes have masks (base) and which only image-level labels (novel); ids ascending."""

    classes: tuple[str, ...]
    novel: tuple[int, ...]

    @property
    def base(self) -> tuple[int, ...]:
        """Ids of the base classes."""
        return tuple(i for i in range(len(self.classes)) if i not in set(self.novel))

    def save(self, path: Path) -> None:
        """Write ids and names of both groups as YAML."""
        groups = {name: {i: self.classes[i] for i in getattr(self, name)} for name in ("novel", "base")}
        atomic_write_text(path, yaml.safe_dump(groups | {"classes": list(self.classes)}, sort_keys=False))

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what `save` wrote."""
        content = read_yaml(path)
        classes, novel = content.get("classes"), content.get("novel")
        if not isinstance(classes, list) or not isinstance(novel, dict) or not set(novel) <= set(range(len(classes))):
            raise UserError(f"{path}: not a split.yaml with `classes` and `novel`; `simformer split` writes one")
        return cls(tuple(classes), tuple(sorted(novel)))


def make_split(classes: tuple[str, ...], spec: dict[str, Any]) -> Split:
    """Resolve a split specification against a dataset's class names.

    Args:
        classes: class names in id order.
        spec: `SplitSpec` as a mapping (keys novel, base, file, seed, ratio), or `{"full": True}`.
    Raises: UserError for unknown or doubled names, an empty side, or classes in neither list.
    """
    if spec.get("full"):
        return Split(classes, ())
    if spec.get("seed") is not None:
        return Split(classes, _random_novel(len(classes), spec["seed"], tuple(spec["ratio"])))
    if spec.get("file") is not None:
        novel = _pinned(classes, Path(spec["file"]))
    else:
        novel = _ids(classes, spec["novel"], "novel")
    if spec.get("base") is not None:
        base = _ids(classes, spec["base"], "base")
        both = [classes[i] for i in novel if i in base]
        if both:
            raise UserError(f"split: classes both base and novel: {', '.join(both)}; keep each in one list")
        missing = [classes[i] for i in range(len(classes)) if i not in base + novel]
        if missing:
            raise UserError(f"split: classes neither base nor novel: {', '.join(missing)}; add each to one list")
    if not novel:
        raise UserError("split: no novel class; name at least one")
    if len(novel) == len(classes):
        raise UserError("split: every class is novel; at least one must be base")
    return Split(classes, tuple(sorted(novel)))


def _random_novel(count: int, seed: int, ratio: tuple[int, int]) -> tuple[int, ...]:
    base, novel = ratio
    size = round(count * novel / (base + novel))
    if not 0 < size < count:
        raise UserError(f"split: ratio {base}:{novel} of {count} classes leaves one side empty; choose another ratio")
    return tuple(sorted(np.random.default_rng(seed).permutation(count)[:size].tolist()))


def _ids(classes: tuple[str, ...], names: list[str], side: str) -> list[int]:
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise UserError(f"split: {side} names given twice: {', '.join(doubled)}")
    for name in names:
        if name not in classes:
            near = difflib.get_close_matches(name, classes, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "."
            raise UserError(f"split: unknown class '{name}' in {side}{hint} The dataset has: {', '.join(classes)}")
    return [classes.index(name) for name in names]


def read_pinned(path: Path) -> dict[Any, Any]:
    """Read `novel: {id: name, ...}` of a pinned split file; raises UserError if there is no such list."""
    novel = read_yaml(path).get("novel")
    if not isinstance(novel, dict):
        raise UserError(f"{path}: expected 'novel:' with 'id: name' lines")
    return novel


def _pinned(classes: tuple[str, ...], path: Path) -> list[int]:
    """Read a pinned split and insist that ids and names agree with the dataset."""
    novel = read_pinned(path)
    wrong = [f"{i}: {name}" for i, name in novel.items() if not (i in range(len(classes)) and classes[i] == name)]
    if wrong:
        raise UserError(f"{path}: these ids and names do not belong together in this dataset: {'; '.join(wrong[:5])}")
    return sorted(novel)
