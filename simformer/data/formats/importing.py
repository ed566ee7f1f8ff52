"""`simformer import`: from masks and tags of other formats to a dataset in the folder layout, and what was found."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from simformer.data.archive import Tree, open_tree
from simformer.data.coco_shapes import shown
from simformer.data.formats.annotations import Blank, Options
from simformer.data.formats.dataset import Dataset, Source, join
from simformer.data.formats.photographs import Photographs
from simformer.data.formats.registry import FORMATS
from simformer.data.formats.states import Written
from simformer.data.formats.text_files import open_source
from simformer.data.formats.write import write
from simformer.data.layout import read_names
from simformer.errors import UserError, describe_problems, did_you_mean, some
from simformer.machine.terminal import counted

SHARE = 0.2
"""Of the images with masks that are for testing where neither the user nor a format says which."""
SHOWN = 10


@dataclass(frozen=True)
class Request:
    """What the user wants to import.

    Attributes:
        images: folder or zip archive of photographs.
        masks, tags: formats and where their files are.
        output: folder to write.
        test: a list of test images, or a share of the images with masks; None: as the formats say, else `SHARE`.
        unlisted: what it means that a class is not listed; None: what the format declares.
        renamed: new names of classes by old ones.
        classes: the classes to keep, in id order; None for all.
        skip_missing: pass over images without photograph.
        options: for the readers.
    """

    images: Path
    masks: Sequence[tuple[str, Path]]
    tags: Sequence[tuple[str, Path]]
    output: Path
    test: str | None = None
    unlisted: Literal["absent", "unknown"] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[str] | None = None
    skip_missing: bool = False
    options: Options = field(default_factory=Options)


def import_dataset(request: Request, workers: int) -> tuple[Written, str]:
    """Read masks and tags and write the dataset.

    Args:
        request: what to read, and where to write.
        workers: number of processes that read and write images.

    Returns: what has been written, and what to tell the user of it.

    Raises:
        UserError: whatever is wrong with the options, the files, or how they fit together.
    """
    if not request.masks and not request.tags:
        raise UserError("neither --masks nor --tags; give one of them: FORMAT PATH, e.g. --masks voc VOC2012")
    photographs = Photographs(open_tree(request.images))
    chosen = request.classes

    def keeps(name: str) -> bool:
        return chosen is None or request.renamed.get(name, name) in chosen

    options = replace(request.options, has=lambda reference: photographs.find(reference) is not None, keeps=keeps)
    sources, trees = [], []
    for kind, wanted in (("masks", request.masks), ("tags", request.tags)):
        for name, path in wanted:
            source, tree = _read(kind, name, path, options, request.unlisted)
            sources.append(source)
            trees.append(tree)
    dataset = join(
        photographs,
        sources,
        renamed=request.renamed,
        chosen=chosen,
        skip_missing=request.skip_missing,
    )
    test, notes = _test_images(dataset, request.test)
    written = write(dataset, trees, test, request.output, workers)
    return written, _report(request.output, dataset, written, [*dataset.notes, *notes])


def _read(kind: str, name: str, path: Path, options: Options, unlisted: str | None) -> tuple[Source, Tree]:
    """Read one source; UserError if there is no such format, or no such file."""
    readers = {key: reader for key, form in FORMATS.items() if (reader := getattr(form, kind)) is not None}
    if name not in readers:
        hint = did_you_mean(name, readers, f"There are: {', '.join(readers)}")
        other = "tags" if kind == "masks" else "masks"
        known = f"; it has {other} alone" if name in FORMATS else ""
        raise UserError(f"--{kind} {name}: no such format of {kind}{known}{hint}")
    tree = open_source(path)
    state = FORMATS[name].unlisted if unlisted is None else {"absent": False, "unknown": None}[unlisted]
    return Source(kind, readers[name](tree, options), state), tree


def _test_images(dataset: Dataset, wanted: str | None) -> tuple[frozenset[str], list[str]]:
    """Return the photographs of the test images, and what to say of the choice."""
    files = list(dataset.entries)
    masks = {file: entry.mask[1] for file, entry in dataset.entries.items() if entry.mask is not None}
    drawn = [file for file, mask in masks.items() if not isinstance(mask, Blank)]
    masked = drawn or files
    share = _share(wanted)
    if wanted is not None and share is None:
        return _listed(dataset, Path(wanted)), []
    if share is None:
        counts = Counter(dataset.entries[file].subset for file in masked)
        test: Literal["test", "val"] = "test" if counts["test"] else "val"
        if counts[test] and counts[test] < len(masked):
            told = [file for file, entry in dataset.entries.items() if entry.subset == test]
            chosen = frozenset(file for file in told if file in masks or not drawn)
            joined = [f"its {counts['val']} validation images"] if test == "test" and counts["val"] else []
            joined += [f"{count} of '{test}' that have no mask"] if (count := len(told) - len(chosen)) else []
            included = f", {' and '.join(joined)} included" if joined else ""
            note = f"test images are those that the source calls '{test}'; all others are for training{included}"
            return chosen, [note]
        share = SHARE
    if len(masked) == 1 < len(files):
        raise UserError(
            f"{dataset.photographs.tree.where(masked[0])}: the only image with a mask; one is needed for training and "
            "one for testing: add masks, or name test images, without masks too, in a file: --test LIST"
        )
    names = dataset.photographs.names(files)
    ordered = sorted(masked, key=lambda file: hashlib.sha256(names[file].encode()).digest())
    which = "the images with masks" if drawn else "the images, none of which has a mask"
    note = f"test images: {share:.0%} of {which}, drawn by their names; choose others with --test LIST or SHARE"
    count = max(1, min(round(share * len(masked)), len(masked) - 1))  # one of each at least
    return frozenset(ordered[:count]), [note]


def _share(text: str | None) -> float | None:
    """Return a share, `0.2` or `20%`; None for anything else, which is a list."""
    if text is None or not re.fullmatch(r"0?\.\d+|\d{1,2}(\.\d+)?%", text) or Path(text).exists():
        return None
    share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    if not 0 < share < 1:
        raise UserError(f"--test {text}: expected a share between 0 and 1, e.g. 0.2, or a file with one image per line")
    return share


def _listed(dataset: Dataset, path: Path) -> frozenset[str]:
    """Return the photographs that a list names."""
    if not path.exists():
        raise UserError(
            f"--test {path}: no such file, and no share; expected a file with one image per line, or e.g. 0.2 or 20%"
        )
    found, problems = set(), []
    for name in read_names(path):
        file = dataset.photographs.find(name)
        if file is None or file not in dataset.entries:
            why = "no photograph has this name" if file is None else "no mask and no tag is of this photograph"
            problems.append(f"{shown(name)}: {why}; take it from the list")
        else:
            found.add(file)
    if problems:
        raise UserError(describe_problems(path, problems))
    if not found or len(found) == len(dataset.entries):
        raise UserError(f"{path}: it names {len(found)} of {len(dataset.entries)} images; name some, and not all")
    return frozenset(found)


def _report(output: Path, dataset: Dataset, written: Written, notes: Sequence[str]) -> str:
    """Return what was found."""
    count = len(dataset.entries)
    states = Counter((name, state) for of in written.states.values() for name, state in of.items())
    unknown = sum(number for (_, state), number in states.items() if state is None)
    lines = [
        f"{output}: {counted(count, 'image')} ({len(written.train)} for training, {len(written.test)} for testing), "
        f"{len(dataset.classes)} classes",
        f"  images with masks: {len(written.masked)}; with tags only: {count - len(written.masked)}",
    ]
    if written.states:
        lines.append(f"  tags: {sum(states.values())}, of which {unknown} are unknown")
    for name in written.tags_only:
        present, absent, unknown = (states[name, state] for state in (True, False, None))
        numbers = f"present in {counted(present, 'image')}, absent in {absent}, unknown in {unknown}"
        lines.append(f"  without masks in training images: {name} ({numbers})")
    notes = [*notes, *written.notes]
    if written.unseen:
        unseen = some(written.unseen, SHOWN)
        notes.append(
            f"No mask shows these classes and no tag says that they are present: {unseen}. Leave them out with "
            "--classes."
        )
    return "\n".join([*lines, *(f"  note: {note}" for note in notes)])
