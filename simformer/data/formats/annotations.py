"""What a reader of any format returns: masks and image-level tags by image, and what the reader was told.

A reader names classes by text and images by reference: the path, address or stem that its file has for an image. Class
ids and photographs are found later, once for all formats (`dataset.py`, `photographs.py`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

from simformer.config.settings import IGNORE
from simformer.data.archive import Tree
from simformer.data.coco_shapes import BrokenShape, RunLengths
from simformer.data.convert import Member
from simformer.errors import UserError

State = bool | None
"""A class in an image: present, absent, or None for unknown."""

Subset = Literal["train", "val", "test"]

SUBSET_WORDS: Mapping[str, Subset] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Words of folders and file names that say to which subset images belong."""


@dataclass(frozen=True)
class Options:
    """What the user said about reading.

    Attributes:
        names: file with the names of the ids of label maps.
        colours: file with the names of the colours of label maps.
        reduce_zero_label: id 0 of a label map means no class, and names without ids count from 1.
        mask_suffix: text between an image's name and the ending of its label map, e.g. `_L`.
        column: column or key that holds the tags.
        confidence: of machine labels, the lowest that means present; what is below is unknown.
        has: whether there is a photograph for a reference.
        keeps: whether a class of a source is wanted.
    """

    names: Path | None = None
    colours: Path | None = None
    reduce_zero_label: bool = False
    mask_suffix: str = ""
    column: str | None = None
    confidence: float = 0.9
    has: Callable[[str], bool] = lambda reference: True
    keeps: Callable[[str], bool] = lambda name: True


class Mask(Protocol):
    """The mask of one image, in whatever form its format has it; can be sent to another process."""

    @property
    def where(self) -> str:
        """What messages call it."""

    @property
    def member(self) -> Member | None:
        """The file to read for it."""

    def draw(self, data: bytes, ids: Mapping[str, int]) -> NDArray[np.uint8]:
        """Draw the label map: class ids and 255, uint8 [H, W]; UserError, with a line for each fault, if it is broken.

        Args:
            data: content of the file; empty if there is none.
            ids: class ids by the source's names; other classes become 255.
        """


class Region(Protocol):
    """A shape in an image."""

    def encode(self, height: int, width: int) -> RunLengths:
        """Return the shape as COCO's compressed run lengths; BrokenShape says what is wrong."""


@dataclass(frozen=True)
class Shape:
    """One region of an image: what messages call it, its class, and where it lies."""

    what: str
    name: str
    region: Region


@dataclass(frozen=True)
class Shapes:
    """A mask made of regions.

    Attributes:
        where: file and image, for messages.
        height, width: of the image in pixels.
        shapes: in drawing order: later ones cover earlier ones.
        largest_first: draw larger ones first instead, so that small ones stay visible.
    """

    where: str
    height: int
    width: int
    shapes: tuple[Shape, ...]
    largest_first: bool = False
    member: None = None

    def draw(self, data: bytes, ids: Mapping[str, int]) -> NDArray[np.uint8]:
        """See `Mask`."""
        label = np.full((self.height, self.width), IGNORE, np.uint8, order="F")  # the order of decoded masks
        codes, problems = [], []
        for shape in self.shapes:
            try:
                codes.append((ids.get(shape.name, IGNORE), shape.region.encode(self.height, self.width)))
            except BrokenShape as error:
                problems.append(f"{self.where}: {shape.what}: {error}; repair or remove it")
        if problems:
            raise UserError("\n".join(problems))
        if self.largest_first:
            codes.sort(key=lambda item: -int(run_lengths.area(item[1])))
        for class_id, code in codes:
            if class_id != IGNORE:
                np.copyto(label, np.uint8(class_id), where=run_lengths.decode(code).view(bool))
        return label


@dataclass(frozen=True)
class Blank:
    """An image that a source lists and in which it draws nothing. Never drawn, since it has no size of its own."""

    where: str
    member: None = None

    def draw(self, data: bytes, ids: Mapping[str, int]) -> NDArray[np.uint8]:
        """See `Mask`."""
        raise AssertionError("the photograph has the size of this label map")


@dataclass
class Annotations:
    """What one source says of its images.

    Attributes:
        where: the source, for messages.
        classes: names in the order of the source, all that it could have used.
        masks: by reference of the image.
        tags: by reference of the image: the classes of which the source says something.
        subsets: by reference, where the source tells them.
        copies: references of pictures that are the same photograph as another reference, which has what is said of it.
        differ: references of pictures that share their name with another one, and not its content.
        partial: the source lists images beyond those that the user has; these are passed over.
        contradicted: classes of which the source says both present and absent, by reference.
        lines: of a table that speak of an image, by reference; of those with contradictions alone.
        notes: what the user should know, one line each.
        problems: what is broken, one line each.
    """

    where: str
    classes: list[str] = field(default_factory=list)
    masks: dict[str, Mask] = field(default_factory=dict)
    tags: dict[str, dict[str, State]] = field(default_factory=dict)
    subsets: dict[str, Subset] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    differ: set[str] = field(default_factory=set)
    partial: bool = False
    contradicted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    lines: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def draw(self, reference: str, mask: Mask) -> None:
        """Note the mask of an image. A second one is a problem, unless one of the two is blank."""
        first = self.masks.get(reference)
        if first is None or isinstance(first, Blank):
            self.masks[reference] = mask
        elif not isinstance(mask, Blank):
            self.problems.append(f"'{reference}': two masks, {first.where} and {mask.where}; remove one of them")

    def tag(self, reference: str, name: str, state: State) -> None:
        """Note the state of a class in an image; see `add_state`."""
        add_state(self.tags.setdefault(reference, {}), self.contradicted[reference], name, state)


Reader = Callable[[Tree, Options], Annotations]


def add_state(states: dict[str, State], contradicted: set[str], name: str, state: State) -> None:
    """Add what is said of a class in an image to what was said before.

    A class that is called both present and absent is unknown, whatever is said of it later and in whatever order.

    Args:
        states: of the classes, changed in place.
        contradicted: classes of which both was said, changed in place.
        name: of the class.
        state: what is said of it; unknown adds nothing.
    """
    before = states.setdefault(name, None)
    if state is None or before == state or name in contradicted:
        return
    if before is None:
        states[name] = state
    else:
        states[name] = None
        contradicted.add(name)


def subset_of(path: str) -> Subset | None:
    """Return the subset that the last telling folder or word of a path names: `valid/a.json`, `instances_val2017`."""
    for part in reversed(PurePosixPath(path.replace("\\", "/")).parts):
        for word in re.findall("[a-z]+", part.rpartition(".")[0].lower() or part.lower()):
            if word in SUBSET_WORDS:
                return SUBSET_WORDS[word]
    return None


def subset_of_folder(path: str) -> Subset | None:
    """Return the subset that a folder of a path is named after: `train/cat/1.jpg`."""
    words = (SUBSET_WORDS.get(part.lower()) for part in PurePosixPath(path.replace("\\", "/")).parts[:-1])
    return next((word for word in words if word), None)
