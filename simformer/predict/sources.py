"""Which photographs are meant by files, folders, patterns and lists, and the names of the outputs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from simformer.atomic import kind_of, read_file, say
from simformer.data.layout import LINE_END, SUFFIXES, unread_pictures
from simformer.errors import UserError

LIST = ".txt"
"""Ending of a list of paths."""
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""How an address of the web begins."""
OVERLAY = "overlay"
"""Folder of coloured pictures below the output folder."""


@dataclass(frozen=True)
class Source:
    """A photograph to predict.

    Attributes:
        path: its file.
        name: what it is called in the output: its path below the folder that the user named, with forward slashes.
    """

    path: Path
    name: str

    @property
    def prediction(self) -> str:
        """Name of its id map below the output folder."""
        return os.path.splitext(self.name)[0] + ".png"


def find_sources(words: Sequence[str], output: Path, overlay: bool) -> tuple[list[Source], list[str]]:
    """Find the photographs that some words name.

    A word is a file, a folder (with all below it; links to folders are followed; hidden files and those in
    `output` are left out), a pattern with `*`, `?`, `[...]` and `**`, or a list, which is a text file with one path per
    line, relative to the list's folder.

    Args:
        words: as typed.
        output: folder of the predictions.
        overlay: whether coloured pictures are written too.
    Returns: the photographs, and a line for every word or photograph that cannot be used.
    """
    found = [source for word in words for source in _of_word(word, output)]
    named = {key: s.path for s in found if isinstance(s, Source) and (key := _key(s.path)) is not None}
    sources: list[Source] = []
    problems: list[str] = []
    taken: dict[str, Path] = {}
    for source in found:
        if isinstance(source, str):
            problems.append(source)
            continue
        made = [source.prediction, *([f"{OVERLAY}/{source.prediction}"] if overlay else [])]
        lost = next((named[key] for name in made if (key := _key(output / name)) in named), None)
        clash = next((name for name in made if name in taken), None)
        if lost is not None:
            what = "it" if _same(lost, source.path) else f"{lost}, another photograph"
            problems.append(f"{source.path}: its prediction would overwrite {what}; give another folder with --output")
        elif clash is None:
            taken |= dict.fromkeys(made, source.path)
            sources.append(source)
        elif not _same(taken[clash], source.path):
            problems.append(
                f"{source.path}: its prediction would replace that of {taken[clash]} ({output / clash}); rename "
                "one of the two, or predict them into two output folders"
            )
    return sources, problems


def _of_word(word: str, output: Path) -> Iterator[Source | str]:
    """Yield the photographs of a word, and in place of each that cannot be used, or of all, a line that says why."""
    path = Path(word)
    if ADDRESS.match(word) and not os.path.lexists(path):
        yield f"{word}: an address; download the photograph and give the file"
    elif path.is_dir():
        yield from _of_folder(path, output)
    elif not os.path.lexists(path) and glob.has_magic(word):
        yield from _of_pattern(word, output)
    elif path.suffix.lower() == LIST:
        yield from _of_list(path)
    else:
        yield _of_file(path, path.name)


def _of_file(path: Path, name: str) -> Source | str:
    if (kind := kind_of(path)) is not None:
        return f"{path}: {'no such file or folder' if kind == 'nothing' else f'{kind}; expected an image'}"
    return Source(path, name)


def _of_folder(folder: Path, output: Path) -> Iterator[Source | str]:
    if _same(folder, output):
        yield f"{folder}: both the photographs' folder and --output; give another folder with --output"
        return
    count = 0
    others: list[str] = []
    unlisted: list[OSError] = []
    walked = {os.path.realpath(folder), os.path.realpath(output)}
    for place, folders, files in os.walk(folder, onerror=unlisted.append, followlinks=True):
        places = {name: os.path.realpath(Path(place, name)) for name in sorted(folders) if not name.startswith(".")}
        folders[:] = [name for name, real in places.items() if real not in walked]
        walked |= set(places.values())
        for file in sorted(files):
            path = Path(place, file)
            if file.startswith("."):
                continue
            if file.lower().endswith(SUFFIXES):
                count += 1
                yield _of_file(path, path.relative_to(folder).as_posix())
            else:
                others.append(path.relative_to(folder).as_posix())
    yield from (f"{error.filename}: folder cannot be listed ({error.strerror})" for error in unlisted)
    unread = unread_pictures(others)
    if not count and not unlisted:
        also = f"; {unread}" if unread else ""
        yield f"{folder}: no photograph in this folder or below it (endings: {', '.join(SUFFIXES)}){also}"
    elif unread:
        say(f"{folder}: {unread}")


def _of_pattern(word: str, output: Path) -> Iterator[Source | str]:
    parts = Path(word).parts
    start = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    found = sorted(glob.glob(word, recursive=True))
    files = [Path(file) for file in found if file.lower().endswith(SUFFIXES)]
    own = os.path.realpath(output)
    files = [
        path for path in files if not path.is_dir() and not Path(os.path.realpath(path.parent)).is_relative_to(own)
    ]
    unread = unread_pictures(found)
    if not files:
        also = f"; {unread}" if unread else ""
        yield f"{word}: no photograph fits this pattern (endings: {', '.join(SUFFIXES)}){also}"
    elif unread:
        say(f"{word}: {unread}")
    yield from (_of_file(path, path.relative_to(start).as_posix()) for path in files)


def _of_list(path: Path) -> Iterator[Source | str]:
    try:
        text = read_file(path, "list of paths").decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    except UserError as error:
        yield str(error)
        return
    listed = [line.strip() for line in LINE_END.split(text) if line.strip()]
    if not listed:
        yield f"{path}: expected a list in UTF-8 with the path of one photograph per line, found none"
    for line in listed:
        inside = not Path(line).is_absolute() and ".." not in Path(line).parts
        file = path.parent / line
        yield _of_file(file, Path(line).as_posix() if inside else file.name)


def _key(path: Path) -> tuple[int, int] | None:
    """Return what is equal for all paths that lead to a file; None if there is none."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _same(first: Path, second: Path) -> bool:
    """Whether two paths lead to the same file or folder."""
    try:
        return first.samefile(second)
    except OSError:
        return False
