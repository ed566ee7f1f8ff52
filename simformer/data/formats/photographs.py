"""Which photograph a reference means: a path of any system, an address, a bare name, with or without ending."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote

from simformer.data.archive import Tree, is_hidden
from simformer.data.class_names import normal
from simformer.data.layout import SUFFIXES, unread_pictures
from simformer.data.named_files import list_name_problem
from simformer.errors import UserError, some

UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the names of uploaded files."""
LOCAL = "/data/local-files/?d="
"""How Label Studio's addresses of files on its own disk begin."""


class Photographs:
    """The photographs of a folder or zip archive, in any folders of it.

    Args:
        tree: where they are; hidden files, and those that macOS adds to archives, are passed over.

    Attributes:
        unread: what to tell of pictures of other formats, if there are any.

    Raises:
        UserError: there is none.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.files: list[str] = [name for name in tree.names() if _is_picture(name)]
        unread = unread_pictures(name for name in tree.names() if not is_hidden(name))
        self.unread = unread and f"{tree.path}: {unread}"
        if not self.files:
            also = f"; {unread}" if unread else ""
            raise UserError(f"{tree.path}: no photographs; expected files with the endings {', '.join(SUFFIXES)}{also}")
        self._by_file: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for name in self.files:
            file = normal(name.rpartition("/")[2])
            self._by_file[file].append(name)
            self._by_stem[os.path.splitext(file)[0]].append(name)

    def find(self, reference: str) -> str | None:
        """Return the photograph that a reference means, or None if there is none.

        Files whose name is that of the reference are preferred to those with another ending. Of several, the one in
        the folders that the reference names is taken.

        Raises:
            UserError: several photographs fit equally well.
        """
        for form in _forms(reference):
            parts = [normal(part) for part in form.replace("\\", "/").split("/") if part not in ("", ".")]
            if not parts:
                continue
            stem, ending = os.path.splitext(parts[-1])
            found = self._by_file.get(parts[-1]) or self._by_stem.get(
                stem if ending.lower() in SUFFIXES else parts[-1], []
            )
            if not found:
                continue
            common = {name: _common(parts, self._parts(name)) for name in found}
            best = [name for name in found if common[name] == max(common.values())]
            if len(best) > 1:
                one_folder = len({name.rpartition("/")[0] for name in best}) < len(best)
                remedy = "remove or rename one of the two" if one_folder else "name the folder of the right one"
                raise UserError(
                    f"'{reference}' may be {some(best, 2)} of {self.tree.path}; {remedy}"
                    f"{'' if one_folder else ' with --images'}"
                )
            return best[0]
        return None

    def merge(self, copy: str, original: str) -> None:
        """Take a file for the same photograph as another one from now on."""
        if copy == original or copy not in self.files:
            return
        self.files.remove(copy)
        for known in (self._by_file, self._by_stem):
            for names in known.values():
                if copy in names:
                    names[:] = dict.fromkeys(original if name == copy else name for name in names)

    def like(self, reference: str) -> str | None:
        """Return a photograph whose name begins or ends the reference's, for hints about a suffix."""
        stem = os.path.splitext(normal(reference.rpartition("/")[2]))[0]
        fits = [known for known in self._by_stem if stem.startswith(known) and stem != known]
        return max(fits, key=len, default=None)

    def names(self, used: Iterable[str]) -> dict[str, str]:
        """Return the names of photographs in the folder layout, by file.

        A name is the file's name without ending; where several files share it, their folders become part of it.

        Raises:
            UserError: two files get one name, or a name cannot be one.
        """
        stems: dict[str, list[str]] = defaultdict(list)
        for file in used:
            stems[normal(os.path.splitext(file.rpartition("/")[2])[0])].append(file)
        names = {
            file: stem if len(files) == 1 else "__".join(map(normal, os.path.splitext(file)[0].split("/")))
            for stem, files in stems.items()
            for file in files
        }
        first: dict[str, str] = {}
        for file, name in names.items():
            if problem := list_name_problem(name):
                raise UserError(f"{self.tree.where(file)}: {problem}; rename it")
            if (other := first.setdefault(name, file)) != file:
                raise UserError(f"{self.tree.where(other)} and {file}: two photographs have one name; rename one")
        return names

    def _parts(self, name: str) -> list[str]:
        return [normal(part) for part in (self.tree.path / name).parts]


def _is_picture(name: str) -> bool:
    return not is_hidden(name) and PurePosixPath(name).suffix.lower() in SUFFIXES


def _forms(reference: str) -> Iterator[str]:
    """Yield a reference as it is, then without what addresses and uploads add to a file's path."""
    reference = reference.strip()
    yield reference
    path = reference.partition(LOCAL)[2] or re.sub(r"[?#].*", "", re.sub(r"^[a-z][a-z0-9+.-]*://", "", reference))
    yield unquote(path)
    folder, _, file = unquote(path).rpartition("/")
    if UPLOADED.match(file):
        yield f"{folder}/{UPLOADED.sub('', file, count=1)}"


def _common(first: list[str], second: list[str]) -> int:
    """Return how many parts two paths share at their ends, the file itself aside."""
    pairs = zip(reversed(first[:-1]), reversed(second[:-1]), strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)) - 1)
