"""The engine behind the importers of published datasets: pairs of photograph and label to the prepared layout.

An importer says which files belong together and how its labels are decoded (`Conversion`); the engine does the rest:
several processes, every file written once, all problems listed together, and continuation after an interruption.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from simformer.atomic import atomic_write_bytes
from simformer.config.layers import RECIPE_VERSION
from simformer.data.archive import BROKEN_ARCHIVE, Tree
from simformer.data.images import encode_label, photograph_size
from simformer.data.inspection import size_problems
from simformer.data.layout import IMAGES, LABELS, write_lists
from simformer.data.pool import in_processes
from simformer.data.staging import staged_layout
from simformer.errors import UserError, describe_problems

CHUNK = 16
"""Images that a process gets at a time."""

Decode = Callable[[Any, str], NDArray[np.uint8]]
"""Turns the content of a label (bytes, or an item's own object) and its name for messages into class ids [H, W]."""


@dataclass(frozen=True)
class Member:
    """A file of a source: the number of its tree, and its name there."""

    tree: int
    name: str


@dataclass(frozen=True)
class Item:
    """One image to convert.

    Attributes:
        name: stem of the files that are written.
        photograph: a JPEG.
        label: a file, whose bytes are decoded; or anything else that can be sent to a process, decoded as it is.
        ending: of the photograph that is written, with its dot.
    """

    name: str
    photograph: Member
    label: Any
    ending: str = ".jpg"


@dataclass(frozen=True)
class Conversion:
    """What an importer found in its source.

    Attributes:
        recipe: kind and options of the source: with the trees, what decides the result.
        trees: the archives and folders.
        decode: of the labels; must be picklable and raise UserError for labels that are broken, a line for each fault.
        classes: the K class names in id order.
        train, test: the items of the two subsets.
        problems: files that should be there and are not, one line each.
    """

    recipe: str
    trees: tuple[Tree, ...]
    decode: Decode
    classes: tuple[str, ...]
    train: tuple[Item, ...]
    test: tuple[Item, ...]
    problems: tuple[str, ...] = ()


def pair(
    names: Sequence[Iterable[str]],
    photographs: Mapping[str, Member],
    labels: Mapping[str, Any],
    expected: tuple[str, str],
) -> tuple[tuple[Item, ...], tuple[Item, ...], tuple[str, ...]]:
    """Bring the photographs and labels of the two subsets together.

    Args:
        names: of the training and of the test images.
        photographs, labels: what there is, by name.
        expected: the photograph and the label that a name should have, for messages; `{}` stands for the name.

    Returns: the items of the two subsets, sorted by name, and a line for each photograph or label that is missing.
    """
    problems = []
    items: list[tuple[Item, ...]] = []
    for subset, listed in zip(("training", "test"), map(sorted, names), strict=True):
        for what, found, form in zip(("photograph", "label"), (photographs, labels), expected, strict=True):
            problems += [
                f"{subset} image {name}: no {what}; expected {form.replace('{}', name)}"
                for name in listed
                if name not in found
            ]
        items.append(
            tuple(
                Item(name, photographs[name], labels[name]) for name in listed if name in photographs and name in labels
            )
        )
    return items[0], items[1], tuple(problems)


@dataclass(frozen=True)
class Converter:
    """The work on single images, in whichever process."""

    trees: tuple[Tree, ...]
    decode: Decode
    staging: Path

    def convert(self, items: Sequence[Item]) -> list[str]:
        """Convert images; returns their problems, one line each."""
        return [problem for item in items for problem in self.place(item)[0]]

    def place(self, item: Item) -> tuple[list[str], NDArray[np.uint8] | None]:
        """Check one image and its label, and write both; the label last, as the sign that both are there.

        Returns: their problems, one line each, and the label map if it could be decoded.
        """
        problems, size, label = [], None, None
        photograph, where = self.where(item.photograph, item), self.where(item.label, item)
        try:
            size = photograph_size(self.read(item.photograph), photograph)
            problems += size_problems(photograph, *size)
        except UserError as error:
            problems.append(str(error))
        try:
            label = self.label(item, size)
        except UserError as error:
            problems += str(error).splitlines()
        if size is not None and label is not None and size != label.shape:
            problems.append(
                f"{photograph} is {size[1]}x{size[0]} (width x height, upright) but {where} is "
                f"{label.shape[1]}x{label.shape[0]}; expected equal sizes"
            )
        if not problems and label is not None:
            target = self.staging / IMAGES / f"{item.name}{item.ending}"
            target.unlink(missing_ok=True)
            self.trees[item.photograph.tree].place(item.photograph.name, target)
            atomic_write_bytes(self.staging / LABELS / f"{item.name}.png", encode_label(label), durable=False)
        return problems, label

    def label(self, item: Item, size: tuple[int, int] | None) -> NDArray[np.uint8] | None:
        """Return the label map of an image, whose height and width are given if they are known."""
        data = self.read(item.label) if isinstance(item.label, Member) else item.label
        return self.decode(data, self.where(item.label, item))

    def where(self, label: Any, item: Item) -> str:
        """Return what messages call a file, or a label that is none."""
        return self.trees[label.tree].where(label.name) if isinstance(label, Member) else f"annotations of {item.name}"

    def read(self, member: Member) -> bytes:
        """Return the content of a file; UserError if it cannot be read."""
        tree = self.trees[member.tree]
        try:
            return tree.read(member.name)
        except BROKEN_ARCHIVE as error:
            raise UserError(
                f"{tree.where(member.name)}: cannot be read ({type(error).__name__}: {error}); "
                "copy or download it again"
            ) from error


def convert(conversion: Conversion, destination: Path, workers: int) -> None:
    """Write a dataset in the prepared layout (`simformer.data.layout`).

    Photographs keep their bytes, gray and CMYK ones too (`read_image` turns them into RGB): hard-linked from
    folders where possible, copied from archives. Label maps are written as 8-bit PNGs. An earlier layout at the
    destination is replaced once all is ready; after an interruption (not after bad input) the next run of an
    unchanged source continues with what was done. The files do not depend on the number of processes.

    Args:
        conversion: what to convert.
        destination: the dataset's root.
        workers: processes; 1 works in this process. Each holds the names of all files, and one image at a time.

    Raises:
        UserError: all problems at once (missing or broken files, unequal sizes, ids out of range), the first 20
            in words.
    """
    items = {item.name: item for item in (*conversion.train, *conversion.test)}
    parts = (conversion.recipe, str(RECIPE_VERSION), *(tree.fingerprint() for tree in conversion.trees))
    with staged_layout(destination, hashlib.sha256("\n".join(parts).encode()).hexdigest()) as staging:
        done = _stems(staging / IMAGES) & _stems(staging / LABELS)
        rest = [item for name, item in items.items() if name not in done]
        chunks = [rest[i : i + CHUNK] for i in range(0, len(rest), CHUNK)]
        converter = Converter(conversion.trees, conversion.decode, staging)
        found: dict[int, list[str]] = {}
        what = f"{destination}: converting (what is done is kept)"
        with tqdm(total=len(items), initial=len(items) - len(rest), unit="image", mininterval=2) as bar:
            for number, problems in in_processes(converter.convert, chunks, workers, what):
                found[number] = problems
                bar.update(len(chunks[number]))
        problems = [*conversion.problems, *(line for number in sorted(found) for line in found[number])]
        if problems:
            raise UserError(describe_problems(", ".join(str(tree.path) for tree in conversion.trees), problems))
        names = [[item.name for item in subset] for subset in (conversion.train, conversion.test)]
        write_lists(staging, conversion.classes, *names)


def _stems(folder: Path) -> set[str]:
    """Return the names of the files of a folder without their extension."""
    return {name.rpartition(".")[0] for name in os.listdir(folder)}
