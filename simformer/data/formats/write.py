"""Writing a dataset of other formats in the folder layout of docs/custom_data.md, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from simformer.atomic import ANOTHER, umask, writing_into
from simformer.config.settings import IGNORE
from simformer.data.archive import Tree
from simformer.data.convert import CHUNK, Converter, Item, Member
from simformer.data.formats.annotations import Blank, State
from simformer.data.formats.dataset import Dataset
from simformer.data.formats.id_pictures import IdPicture, describe_values
from simformer.data.formats.states import Written, settle
from simformer.data.layout import CLASSES, FOLDERS, TAGS, write_lists
from simformer.data.pool import in_processes
from simformer.data.staging import real_place, refuse_nesting
from simformer.errors import UserError, describe_problems

CELLS: Mapping[State, str] = {True: "1", False: "0", None: ""}


@dataclass(frozen=True)
class Shown:
    """What was found in one image.

    Attributes:
        problems: one line each.
        ids: that its label map shows.
        unnamed: the label map, if it holds colours, or ids without a name.
        values: of this label map.
    """

    problems: list[str]
    ids: tuple[int, ...]
    unnamed: IdPicture | None
    values: frozenset[int] | None


@dataclass(frozen=True)
class Writer(Converter):
    """The work on single images, in whichever process: `Converter` for masks of any form.

    Attributes:
        ids: class ids by the names of the sources.
    """

    ids: Mapping[str, int]

    def shown(self, items: Sequence[Item]) -> list[Shown]:
        """Convert images; returns what was found of each."""
        results = []
        for item in items:
            problems, label = self.place(item)
            counts = np.zeros(IGNORE) if label is None else np.bincount(label.ravel(), minlength=IGNORE + 1)[:IGNORE]
            ids = tuple(np.flatnonzero(counts).tolist())
            results.append(Shown(problems, ids, *self._values(item, problems)))
        return results

    def _values(self, item: Item, problems: list[str]) -> tuple[IdPicture | None, frozenset[int] | None]:
        """Return a label map whose values have no names and these, see `describe_values`."""
        number, mask = item.label or (0, None)
        if not isinstance(mask, IdPicture) or mask.complaint not in problems:
            return None, None
        problems.remove(mask.complaint)
        return mask, mask.values(self.read(Member(1 + number, mask.member.name)))

    def label(self, item: Item, size: tuple[int, int] | None) -> NDArray[np.uint8] | None:
        """Draw the mask; without one, or a blank one, a label map of nothing but 255."""
        if item.label is None or isinstance(item.label[1], Blank):
            return None if size is None else np.full(size, IGNORE, np.uint8)
        number, mask = item.label
        data = b"" if mask.member is None else self.read(Member(1 + number, mask.member.name))
        drawn: NDArray[np.uint8] = mask.draw(data, self.ids)
        return drawn

    def where(self, label: Any, item: Item) -> str:
        """See `Converter.where`."""
        return label[1].where if isinstance(label, tuple) else super().where(label, item)


def write(dataset: Dataset, trees: Sequence[Tree], test: frozenset[str], output: Path, workers: int) -> Written:
    """Write images, label maps, lists, classes and tags; photographs are hard-linked from folders where possible.

    Args:
        dataset: what to write.
        trees: of its sources.
        test: files of the photographs that are test images.
        output: a folder that is not there yet, or empty; it appears when all is written.
        workers: processes.

    Raises:
        UserError: the folder holds something or cannot be made, or images or masks are broken: all problems at once.
    """
    place = real_place(output)
    refuse_nesting(place, [dataset.photographs.tree.path, *(tree.path for tree in trees)])
    if place.exists() and any(place.iterdir()):
        raise UserError(
            f"{output}: this folder holds files; name another --output, or remove it: rm -r {shlex.quote(str(output))}"
        )
    names = dataset.photographs.names(dataset.entries)
    items = [
        Item(names[file], Member(0, file), entry.mask, os.path.splitext(file)[1])
        for file, entry in dataset.entries.items()
    ]
    with _new_folder(place) as folder:
        for piece in FOLDERS:
            (folder / piece).mkdir()
        writer = Writer((dataset.photographs.tree, *trees), _no_decoder, folder, dataset.ids)
        shown = dict(zip((item.name for item in items), _convert(writer, items, workers), strict=True))
        written = settle(dataset, names, test, shown)
        if not written.train:
            (only,) = dataset.entries
            raise UserError(
                f"{dataset.photographs.tree.path}: 1 image with masks or tags ({only}); "
                "at least 2 are needed, one for training and one for testing: add photographs with masks or tags"
            )
        write_lists(folder, dataset.classes, written.train, written.test)
        if written.states:
            content = {"names": list(dataset.classes), "tags_only": list(written.tags_only)}
            (folder / CLASSES).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            (folder / TAGS).write_text(_table(written.states), encoding="utf-8")
    return written


def _no_decoder(data: Any, where: str) -> NDArray[np.uint8]:
    raise AssertionError("masks of other formats draw themselves")


def _convert(writer: Writer, items: Sequence[Item], workers: int) -> list[tuple[int, ...]]:
    """Convert all images; returns the ids that the label map of each shows."""
    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    results: dict[int, list[Shown]] = {}
    with tqdm(total=len(items), unit="image", mininterval=2) as bar:
        for number, result in in_processes(writer.shown, chunks, workers, "import"):
            results[number] = result
            bar.update(len(chunks[number]))
    ordered = [one for number in sorted(results) for one in results[number]]
    drawn = {k for one in ordered for k in one.ids}
    unnamed = [(one.unnamed, one.values) for one in ordered if one.unnamed is not None]
    zero = any(writer.ids.get(picture.names.get(0) or "") in drawn for picture, _ in unnamed)
    problems = [*describe_values(unnamed, zero), *(problem for one in ordered for problem in one.problems)]
    if problems:
        raise UserError(describe_problems(", ".join(str(tree.path) for tree in writer.trees), problems))
    return [one.ids for one in ordered]


def _table(states: Mapping[str, Mapping[str, State]]) -> str:
    """Return the states as CSV; an image of which nothing is known has no row."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", *next(iter(states.values()))])
    for image, of in states.items():
        if any(state is not None for state in of.values()):
            table.writerow([image, *(CELLS[state] for state in of.values())])
    return text.getvalue()


@contextmanager
def _new_folder(place: Path) -> Iterator[Path]:
    """Yield a folder that becomes `place` at the end, and is removed after any error."""
    with writing_into(place.parent, f"{ANOTHER} with --output"):
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".part"))
    try:
        folder.chmod(0o777 & ~umask())
        yield folder
        os.replace(folder, place)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
