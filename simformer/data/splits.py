"""Base/novel class splits: from names, from a pinned file, or 3:1 at random from a seed (Sec. 4.1)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simformer.atomic import atomic_write_text
from simformer.config.layers import read_yaml
from simformer.config.settings import IGNORE, Draw
from simformer.data.class_names import normal
from simformer.data.layout import CLASSES, TAGS
from simformer.errors import UserError, did_you_mean, if_made, some
from simformer.text.plain_yaml import dump_plain

WAYS = ("novel", "file", "seed", "full")
"""Keys of a specification of which each says by itself what is novel."""
SHOWN = 40
"""Classes that a message names at most."""


class DatasetLacks(UserError):
    """A split asks for what the prepared dataset does not have, but another state of its source may have."""


@dataclass(frozen=True)
class Split:
    """Which classes have masks (base) and which only image-level labels (novel), ids ascending; `where` is its file."""

    classes: tuple[str, ...]
    novel: tuple[int, ...]
    where: str = field(default="the split", compare=False)

    @property
    def base(self) -> tuple[int, ...]:
        """Ids of the base classes."""
        return tuple(i for i in range(len(self.classes)) if i not in set(self.novel))

    def save(self, path: Path) -> None:
        """Write ids and names of both groups as YAML."""
        groups = {name: {i: self.classes[i] for i in getattr(self, name)} for name in ("novel", "base")}
        atomic_write_text(path, dump_plain(groups | {"classes": list(self.classes)}))

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what `save` wrote; raises UserError if it is not that, or was edited so that its parts disagree."""
        content = read_yaml(path)
        classes, novel, base = (content.get(name) for name in ("classes", "novel", "base"))
        if not (isinstance(classes, list) and isinstance(novel, dict) and isinstance(base, dict)):
            raise UserError(f"{path}: not a resolved split (novel, base, classes); {if_made()}")
        if len(novel) + len(base) != len(classes) or novel | base != dict(enumerate(classes)):
            raise UserError(
                f"{path}: its novel and base classes are not its classes, each once. This file is generated: edit the "
                "study's splits instead, delete it and run snakemake again"
            )
        return cls(tuple(classes), tuple(sorted(novel)), str(path))

    def has_novel(self, told: str | Draw) -> bool:
        """Return whether the novel classes are those that a study names (as `names_hash`) or draws."""
        if isinstance(told, str):
            return names_hash(self.classes[i] for i in self.novel) == told
        return _random_novel(len(self.classes), told) == self.novel

    def refuse_unseen(self, images: Iterable[Iterable[int]]) -> None:
        """Check that the training images show every novel class, and a base class at all.

        Args:
            images: the class ids that each training image holds.

        Raises:
            UserError: there is nothing to learn a novel class from, or no mask is left. Names the classes.
        """
        if not self.novel:
            return
        seen = {class_id for held in images for class_id in held}
        unseen = [f"'{self.classes[i]}' (id {i})" for i in self.novel if i not in seen]
        if unseen:
            raise DatasetLacks(
                f"split: no training image shows the novel class{'es' * (len(unseen) > 1)} {', '.join(unseen)}, so "
                "nothing can be learnt of it; choose other novel classes, or add images that show it to train.txt "
                f"(if its pixels are labelled {IGNORE}, which means no class, label them with its id; if it is a class "
                f"without masks, write 1 in {TAGS} for the images that show it)"
            )
        if seen.isdisjoint(self.base):
            raise DatasetLacks(
                "split: no training image shows a base class, so no mask is left to learn from; choose fewer novel "
                "classes, or add images that show a base class to train.txt"
            )

    def refuse_maskless(self, tags_only: Sequence[int]) -> None:
        """Check that every class without masks is novel.

        Args:
            tags_only: ids of the classes without masks.

        Raises:
            UserError: one is a base class; or nothing is novel, so that all masks are asked for. Names the classes.
        """
        lacking = [self.classes[i] for i in tags_only if i not in self.novel]
        if not lacking:
            return
        named = ", ".join(f"'{name}'" for name in lacking)
        if not self.novel:
            raise UserError(
                f"split: all masks are needed, but there are none of {named} (tags_only of {CLASSES}). FullyOracle "
                "and everything else that needs every mask of the training images is not possible: take it out, e.g. "
                "with experiments: [tags]"
            )
        wanted = [self.classes[i] for i in sorted({*self.novel, *tags_only})]
        raise UserError(
            f"split: {named} would be base, but {'has' if len(lacking) == 1 else 'have'} no masks (tags_only of "
            f"{CLASSES}), and a base class needs masks; write novel: "
            f"{json.dumps(wanted, ensure_ascii=False)}"
        )


def names_hash(names: Iterable[str]) -> str:
    """Return a short text that stands for a set of class names."""
    return hashlib.sha256("\n".join(sorted(map(normal, names))).encode()).hexdigest()[:8]


def make_split(classes: tuple[str, ...], spec: dict[str, Any]) -> Split:
    """Resolve a split specification against a dataset's class names.

    Args:
        classes: class names in id order.
        spec: `SplitSpec` as a mapping (keys novel, base, file, seed, ratio), or `{"full": True}`.
    Raises: UserError for unknown or doubled names, an empty side, classes in neither list, or no specification.
    """
    if not isinstance(spec, dict) or not any(spec.get(key) is not None for key in WAYS):
        raise UserError(f"split: no specification in {spec!r}; expected one of the keys {', '.join(WAYS)}")
    if spec.get("full"):
        return Split(classes, ())
    if spec.get("seed") is not None:
        return Split(classes, _random_novel(len(classes), Draw(seed=spec["seed"], ratio=tuple(spec["ratio"]))))
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


def _random_novel(count: int, draw: Draw) -> tuple[int, ...]:
    base, novel = draw.ratio
    size = round(count * novel / (base + novel))
    if count < 2:
        raise UserError(
            f"split: the dataset has {count} class; a split needs one base and one novel class at least, so no `ratio` "
            "works; use a dataset of more classes"
        )
    if not 0 < size < count:
        raise UserError(f"split: ratio {base}:{novel} of {count} classes leaves one side empty; choose another ratio")
    return tuple(sorted(np.random.default_rng(draw.seed).permutation(count)[:size].tolist()))


def _ids(classes: tuple[str, ...], names: list[str], side: str) -> list[int]:
    names = [normal(name) for name in names]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UserError(f"split: {side} names given twice: {', '.join(doubled)}")
    for name in names:
        if name not in classes:
            known = f"The dataset has: {some(classes, SHOWN)}"
            if near := did_you_mean(name, classes):
                raise UserError(f"split: unknown class '{name}' in {side}{near} {known}")
            raise DatasetLacks(f"split: unknown class '{name}' in {side}. {known}")
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
    pairs = set(enumerate(classes))
    wrong = [f"{i}: {name}" for i, name in novel.items() if (i, normal(str(name))) not in pairs]
    if wrong:
        listed = "; ".join(wrong[:5])
        raise DatasetLacks(f"{path}: these ids and names do not belong together in this dataset: {listed}")
    return sorted(novel)
