"""The note in a prepared dataset: what it was made from, and which files it has.

If two processes prepare the same dataset, the second one finds it done. A dataset counts as done only if its files are
those of the note. If a file was added, removed or changed, the dataset is prepared again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from simformer.atomic import atomic_write_text, remove_leftovers
from simformer.config.layers import RECIPE_VERSION
from simformer.config.paths import expand_path
from simformer.config.sources import FolderSource, Source, content_json
from simformer.data.archive import Tree
from simformer.data.layout import ALL_PIECES, FINISHED, FOLDERS, PIECES, TAGS, missing_pieces
from simformer.text.strict_json import parse_json

CONTENT = "content"
"""Key of the note: what decides the content of the source, as `content_json` tells it."""


def origin(source: Source, trees: Iterable[Tree]) -> str:
    """Return a text that changes with a source, its options, the files behind it and the version of the results.

    Args:
        source: what a dataset is made from.
        trees: its archives, opened.
    """
    parts = [content_json(source), str(RECIPE_VERSION), *(tree.fingerprint() for tree in trees)]
    if isinstance(source, FolderSource):
        parts += _listing(expand_path(source.path, "source.path"))
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()


def note_finished(place: Path, source: Source, origin: str, sources: Iterable[Path]) -> None:
    """Note that a dataset has been prepared, from which source, and from which folders and archives.

    Only one process at a time prepares a dataset, so what a killed one has left of its note is removed.
    """
    remove_leftovers(place / FINISHED)
    content = {
        "origin": origin,
        "files": _files(place),
        "sources": [str(Path(path).absolute()) for path in sources],
        CONTENT: content_json(source),
    }
    atomic_write_text(place / FINISHED, json.dumps(content) + "\n")


def is_of_another_source(place: Path, source: Source) -> bool:
    """Return whether a dataset was prepared from another source, or with other options; False if its note is silent."""
    try:
        return str(parse_json((place / FINISHED).read_bytes())[CONTENT]) != content_json(source)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def named_with_sources(place: Path) -> str:
    """Return a dataset's folder, for messages, and what it was made from, if its note tells."""
    try:
        sources = parse_json((place / FINISHED).read_bytes())["sources"]
        return f"{place} (made from {', '.join(sources)})" if sources else str(place)
    except (OSError, ValueError, TypeError, KeyError):
        return str(place)


def how_to_mend(place: Path) -> str:
    """Return what to do about problems of a dataset: it is prepared again once it is gone, if it was prepared here."""
    try:
        sources = parse_json((place / FINISHED).read_bytes())["sources"]
        where = f" in {', '.join(sources)}" if sources else ""
    except (OSError, ValueError, TypeError, KeyError):
        return f"correct it in {place}, then type the same command"
    return f"correct it{where}, then `{shlex.join(['rm', '-r', str(place)])}` and type the same command"


def is_finished(place: Path, origin: str) -> bool:
    """Return whether a whole dataset is there, made from that origin and unchanged since."""
    note = place / FINISHED
    try:
        content = parse_json(note.read_bytes())
        if missing_pieces(place) or (content["origin"], content["files"]) != (origin, _files(place)):
            return False
        finished = note.stat().st_mtime_ns
        return all(entry.stat().st_mtime_ns <= finished for entry in _entries(place))
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _files(place: Path) -> str:
    """Return the checksum of the lists and tags, and of the names and sizes of all other files."""
    digest = hashlib.sha256()
    for piece in PIECES[len(FOLDERS) :]:
        digest.update((place / piece).read_bytes())
    if (place / TAGS).exists():
        digest.update((place / TAGS).read_bytes())
    for name, size in sorted((entry.name, entry.stat().st_size) for entry in _entries(place)):
        digest.update(f"{name} {size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _entries(place: Path) -> list[os.DirEntry[str]]:
    """Return the files of both folders; hidden ones are Snakemake's."""
    return [entry for folder in FOLDERS for entry in os.scandir(place / folder) if not entry.name.startswith(".")]


def _listing(path: Path) -> list[str]:
    """Return a line with name, size and time of change of an archive, or of each file of a folder's datasets."""
    roots = [path, *(sorted(folder for folder in path.iterdir() if folder.is_dir()) if path.is_dir() else ())]
    files = [path] if path.is_file() else []
    for piece in (root / name for root in roots for name in ALL_PIECES):
        files += sorted(piece.iterdir()) if piece.is_dir() else [piece]
    found = ((file, file.stat()) for file in files if file.is_file())
    return [f"{file} {info.st_size} {info.st_mtime_ns}" for file, info in found]
