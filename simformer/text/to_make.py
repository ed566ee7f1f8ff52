"""What to type for a file that a rule makes: the study that makes it is found by the folder in which the file lies."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simformer.errors import UserError

DEFAULT = Path("config/config.yaml")
"""The study that snakemake takes if none is named."""


@dataclass(frozen=True)
class _Study:
    """A study file, as far as it tells which files are its own."""

    path: Path
    results: str
    data: str
    datasets: tuple[str, ...]
    tables: tuple[str, ...]

    def makes(self, path: Path | str) -> bool:
        """Return whether a file is called like one of this study's: below a dataset, or a page of a table."""
        for folder in (self.results, self.data):
            parts = Path(os.path.relpath(os.path.abspath(path), os.path.abspath(folder))).parts
            if parts and parts[0] != ".." and not self.rank(parts, folder)[0]:
                return True
        return False

    def rank(self, parts: Sequence[str], inside: str) -> tuple[bool, ...]:
        """Return how well a file fits, better ones first; its path below `results` or `data` is given in parts."""
        if inside == self.data:
            return parts[0] not in self.datasets, self.path != DEFAULT, not Path(self.results).exists()
        known = {*self.datasets, *self.tables}
        fits = parts[0] in known or Path(parts[-1]).name.split(".")[0] in known
        return not fits, self.path.stem != Path(self.results).name, self.path != DEFAULT


def to_make(path: Path | str, study: Sequence[Path | str] = ()) -> str:
    """Return what to type for a file that a rule makes, as a shell reads it.

    Args:
        path: of the file.
        study: the study files that make it; default: those of `config/` are searched, see `study_of`.
    """
    if not study and (found := study_of(path)):
        study = [found]
    named = [] if not study or [*map(Path, study)] == [DEFAULT] else ["--configfile", *map(str, study)]
    # An option separates the study files from the target, which would else be one more study file.
    return shlex.join(["snakemake", *named, "--cores", "1", str(path)])


def made_by(path: Path | str, verb: str = "makes it") -> str:
    """Return which command makes a missing file, or what to give instead if no study of `config/` makes it."""
    if any(study.makes(path) for study in _studies()):
        return f"`{to_make(path)}` {verb}"
    expected = "; expected a prepared dataset, e.g. data/msrc21" if Path(path).name == "index.json" else ""
    return f"check the path; no study in {DEFAULT.parent}/ makes it{expected}"


def study_of(path: Path | str) -> Path | None:
    """Return the study in `config/` of the working directory in whose results or data a path lies; None without one.

    The deepest folder wins, since the default study's results lie above all others; of several studies that share a
    folder, the one that has the dataset or table, and is called like the folder.
    """
    found = []
    for study in _studies():
        for folder in (study.results, study.data):
            parts = Path(os.path.relpath(os.path.abspath(path), os.path.abspath(folder))).parts
            if parts and parts[0] != "..":
                found.append((-len(Path(os.path.abspath(folder)).parts), study.rank(parts, folder), study.path))
    return min(found)[-1] if found else None


def results_of(study: Path) -> str | None:
    """Return the results folder that a study file names; None if it is no study that can be read."""
    read = _read(study)
    return read.results if read else None


def _studies() -> Iterator[_Study]:
    for path in sorted(DEFAULT.parent.glob("*.yaml")):
        if study := _read(path):
            yield study


def _read(path: Path) -> _Study | None:
    """Return a study; None for a file that is none, or a damaged one, which other commands tell."""
    import yaml  # here: the command line starts without it

    from simformer.text.plain_yaml import load_plain

    try:
        content = load_plain(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError, UserError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("datasets"), Mapping):
        return None
    results, data = (content.get(key, key) for key in ("results", "data"))
    if not isinstance(results, str) or not isinstance(data, str):
        return None
    results, data = (os.path.expanduser(os.path.expandvars(text)) for text in (results, data))
    tables = (*_names(content.get("experiments", ["table1"])), *_names(content.get("figures", [])))
    return _Study(path, results, data, tuple(map(str, content["datasets"])), tables)


def _names(content: Any) -> tuple[str, ...]:
    return tuple(map(str, content)) if isinstance(content, list) else ()
