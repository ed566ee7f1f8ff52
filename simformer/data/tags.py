"""Image-level labels that somebody wrote into `tags.csv`: each class is present, absent or unknown in each image.

    image,cow,sheep
    0001,1,0                  a cow, no sheep
    0002,,1                   a sheep; nobody says whether there is a cow

The first column holds names as in `train.txt` and `test.txt`, and every other column is a class. If an image has no
row, all these classes are unknown in it. `tags_only` of `classes.json` names the classes without masks. Nothing else
is known about them, so each needs a column. Every other class is drawn in the label maps. If it has no column, the
label map of an image says everything about it. If it has a column and a training image does not show it, the cell
says whether it is absent (0) or whether nobody has drawn it (empty). So photographs with tags alone can be mixed
with photographs that have masks.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from simformer.atomic import kind_of, read_file
from simformer.data.class_names import normal
from simformer.data.inspection import Finding
from simformer.data.layout import CLASSES, TAGS, TEST, TRAIN, hint_on_class, read_tags_only
from simformer.errors import UserError, some
from simformer.text.explain import shown

STATES = {"1": True, "0": False, "": None}
"""What a cell says: present, absent, unknown."""
FORM = "expected a line 'image,<class>,<class>,...', and below it one line per image with cells 1, 0 or empty"
SHOWN = 10
"""Classes that a note spells out; the rest is counted."""


@dataclass(frozen=True)
class Tags:
    """Labels as stated.

    Attributes:
        classes: K names in id order.
        only: ids of the classes without masks, ascending.
        columns: ids of the classes that the table speaks of.
        present, absent: by name of an image, the class ids of which that is stated.
        lines: by name of an image, the number of its line, for messages.
    """

    classes: tuple[str, ...]
    only: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    present: Mapping[str, frozenset[int]] = field(default_factory=dict)
    absent: Mapping[str, frozenset[int]] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def told(self, finding: Finding) -> Finding:
        """Return the finding of a training image with what the table says of it in its record."""
        if finding.record is None or not self.columns:
            return finding
        name = finding.name
        present = self.present.get(name, frozenset()).intersection(self.only)
        unknown = frozenset(self.columns) - present - self.absent.get(name, frozenset()) - {*finding.record.labels}
        labels = tuple(sorted(present.union(finding.record.labels)))
        return replace(finding, record=replace(finding.record, labels=labels, unknown=tuple(sorted(unknown))))

    def contradictions(self, findings: Mapping[str, Finding], train: Collection[str]) -> list[str]:
        """Return where label maps and tags disagree, one line each.

        Args:
            findings: of the images, by name, as the label maps alone have them.
            train: names of the training images; of others, masks of a class without masks are for scoring.
        """
        training = frozenset(train)
        return [
            f"{finding.label}: {problem}"
            for name, finding in findings.items()
            if finding.record is not None
            for problem in self._disagreements(name, frozenset(finding.record.labels), name in training)
        ]

    def _disagreements(self, name: str, drawn: frozenset[int], training: bool) -> Iterator[str]:
        line = f"line {self.lines.get(name)} of {TAGS}"
        for k in sorted(drawn.intersection(self.only) if training else ()):
            yield (
                f"shows '{self.classes[k]}', which {CLASSES} lists under tags_only; write 255 on its pixels, or take "
                "it out of tags_only and draw it in every training image"
            )
        for k in sorted(drawn & self.absent.get(name, frozenset())):
            yield f"shows '{self.classes[k]}', but {line} says 0, absent; correct one of the two"
        for k in sorted(self.present.get(name, frozenset()) - drawn - frozenset(self.only)):
            yield (
                f"does not show '{self.classes[k]}', but {line} says 1, present; draw it, empty the cell, or, if the "
                f"class is to have no masks, list it under tags_only of {CLASSES}"
            )

    def notes(self, train: Sequence[Finding], test_pixels: Sequence[int]) -> list[str]:
        """Return what the owner of the dataset should know of the classes in the table, one line each.

        Args:
            train: findings of the training images, with their labels.
            test_pixels: labelled pixels of each class in the test images.
        """
        records = [finding.record for finding in train if finding.record is not None]
        notes = []
        for k in sorted(self.columns):
            present, unknown = sum(k in r.labels for r in records), sum(k in r.unknown for r in records)
            if k in self.only or unknown:
                masks = "has no masks: present" if k in self.only else "is drawn"
                others = f"absent in {len(records) - present - unknown}, unknown in {unknown} training images"
                notes.append(f"'{self.classes[k]}' {masks} in {present}, {others}")
        if not self.only:
            return notes
        unscored = [f"'{self.classes[k]}'" for k in self.only if not test_pixels[k]]
        if unscored:
            notes.append(f"no test image has a mask of {some(unscored, SHOWN)}: in tables their IoU is -")
        if not any(test_pixels):
            notes.append("no test image has any mask: nothing can be scored, and every cell of a table is -")
        names = json.dumps([self.classes[k] for k in self.only], ensure_ascii=False)
        return [*notes, f"every split needs these classes among its novel ones, e.g. novel: {names}"]


def read_tags(root: Path, classes: tuple[str, ...], listed: Collection[str]) -> tuple[Tags, list[str]]:
    """Read what `classes.json` and `tags.csv` say of a dataset.

    Args:
        root: the dataset's folder.
        classes: K names in id order.
        listed: names of all its images.
    Returns: the tags, as far as they can be read, and what is wrong with them, one line each.
    """
    path = root / TAGS
    try:
        only = read_tags_only(root)
        if kind_of(path) == "nothing":
            if not only:
                return Tags(classes), []
            named = some([f"'{classes[k]}'" for k in only], SHOWN)
            raise UserError(f"{path}: not there, but {CLASSES} says under tags_only that {named} have no masks; {FORM}")
        rows = list(_rows(path))
        columns = _columns(path, rows, classes, only)
    except UserError as error:
        return Tags(classes), [str(error)]
    present: dict[str, frozenset[int]] = {}
    absent: dict[str, frozenset[int]] = {}
    lines: dict[str, int] = {}
    problems = []
    for number, (name, *cells) in rows[1:]:
        try:
            name = _known(normal(name), listed)
            if name in lines:
                raise UserError(f"'{name}' is in line {lines[name]} too; keep one line")
            states = _states(cells, columns, classes)
        except UserError as error:
            problems.append(f"{path}, line {number}: {error}")
            continue
        lines[name] = number
        present[name] = frozenset(k for k, state in states.items() if state)
        absent[name] = frozenset(k for k, state in states.items() if state is False)
    return Tags(classes, only, tuple(sorted(columns)), present, absent, lines), problems


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of every line that is not blank, without white space around them."""
    data = read_file(path, "table of tags")
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, [cell.strip() for cell in row]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error.reason} at byte {error.start})") from None
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: cannot be read as CSV ({error}); {FORM}") from None


def _columns(
    path: Path, rows: list[tuple[int, list[str]]], classes: tuple[str, ...], only: tuple[int, ...]
) -> list[int]:
    """Return the class id of each column but the first."""
    if not rows or rows[0][1][0] != "image":
        found = f"begins with {shown(rows[0][1][0])}" if rows else "is empty"
        raise UserError(f"{path}: {found}; {FORM}, separated by commas")
    names = [normal(name) for name in rows[0][1][1:]]
    for name in names:
        if name not in classes:
            raise UserError(f"{path}: unknown class '{name}'{hint_on_class(name, classes)}")
        if names.count(name) > 1:
            raise UserError(f"{path}: two columns '{name}'; keep one")
    if missing := [f"'{classes[k]}'" for k in only if classes[k] not in names]:
        raise UserError(
            f"{path}: no column of {some(missing, SHOWN)}, which {CLASSES} lists under tags_only; add one with 1 "
            "(present), 0 (absent) or nothing (unknown)"
        )
    return [classes.index(name) for name in names]


def _known(name: str, listed: Collection[str]) -> str:
    """Return the name of an image; UserError unless it is in a list."""
    if name in listed:
        return name
    stem = name.rpartition(".")[0]
    hint = f"names have no ending: write '{stem}'" if stem in listed else "correct or remove this line"
    raise UserError(f"'{name}' is in neither {TRAIN} nor {TEST}; {hint}")


def _states(cells: list[str], columns: list[int], classes: tuple[str, ...]) -> dict[int, bool | None]:
    """Return what a line says of each class."""
    if len(cells) != len(columns):
        raise UserError(f"{len(cells) + 1} cells, but {len(columns) + 1} columns; write one cell per column")
    for k, cell in zip(columns, cells, strict=True):
        if cell not in STATES:
            raise UserError(f"'{classes[k]}' is {shown(cell)}; expected 1 (present), 0 (absent) or nothing (unknown)")
    return {k: STATES[cell] for k, cell in zip(columns, cells, strict=True)}
