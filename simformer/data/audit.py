"""Audit of a prepared dataset on the CPU: every file is decoded and checked before any training sees it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from simformer.data.files import atomic_write_text
from simformer.data.images import DECODING_ERRORS, describe_decoding_error, read_image, read_label
from simformer.data.index import DatasetIndex, ImageRecord
from simformer.data.layout import (
    EXPECTED,
    IMAGES,
    LABELS,
    SUFFIXES,
    TEST,
    TRAIN,
    missing_pieces,
    read_classes,
    read_names,
)
from simformer.data.pool import in_processes
from simformer.errors import UserError, describe_problems
from simformer.settings import IGNORE
from simformer.sources import Expected

NOTHING_EXPECTED = Expected()


@dataclass(frozen=True)
class SubsetCounts:
    """What one subset (train or test) holds, over the images that are kept.

    Attributes:
        images: number of images.
        images_per_class: images in which each class appears, K counts.
        pixels_per_class: labelled pixels of each class, K counts.
        ignore_share: share of pixels labelled 255, in 0..1.
        dropped: names of images left out of the index because their label is entirely 255.
    """

    images: int
    images_per_class: tuple[int, ...]
    pixels_per_class: tuple[int, ...]
    ignore_share: float
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class AuditReport:
    """Counts of an audited dataset, by subset; the K class names in id order."""

    classes: tuple[str, ...]
    train: SubsetCounts
    test: SubsetCounts

    def save(self, path: Path) -> None:
        """Write the report as JSON, atomically."""
        atomic_write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> AuditReport:
        """Read what `save` wrote; UserError if it is not that."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            subsets = (SubsetCounts(**{k: _tuple(v) for k, v in data[name].items()}) for name in ("train", "test"))
            return AuditReport(tuple(data["classes"]), *subsets)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not an audit report ({error}); run the audit of this dataset again") from None


@dataclass(frozen=True)
class Finding:
    """What the inspection of one image and its label map found.

    Attributes:
        problems: what is wrong, one line each; empty if all is well.
        record: the index entry, or None if there are problems.
        counts: pixels per label value, 256 counts.
    """

    problems: tuple[str, ...]
    record: ImageRecord | None = None
    counts: tuple[int, ...] = ()


def audit(root: Path, workers: int, expect: Expected = NOTHING_EXPECTED) -> tuple[DatasetIndex, AuditReport]:
    """Check a dataset in the prepared layout and index it; nothing is written.

    Checked: the lists (empty, repeated or unsafe names), the class file, and of every listed image that its
    two files exist, decode to the end and have equal size (upright), and that the label map is one 8-bit
    channel with ids 0..K-1 or 255. An image whose label is entirely 255 is left out and named in the report.
    Also checked: the published numbers of images and classes.

    Args:
        root: the dataset's folder.
        workers: processes that decode; 1 works in this process.
        expect: published counts; those that are None are not checked.

    Returns: the index and the counts.

    Raises:
        UserError: all problems at once, the first 20 in words.
    """
    missing = missing_pieces(root)
    if missing:
        raise UserError(f"{root}: missing {', '.join(missing)}; a prepared dataset has {EXPECTED}")
    problems: list[str] = []
    classes: tuple[str, ...] = ()
    try:
        classes = read_classes(root)
    except UserError as error:
        problems.append(str(error))
    lists = {name: read_names(root / name) for name in (TRAIN, TEST)}
    problems += _check_lists(root, lists) + _check_counts(root, lists, classes, expect)
    names = [name for name in dict.fromkeys(lists[TRAIN] + lists[TEST]) if _is_stem(name)]
    findings = dict(zip(names, _inspect_all(root, names, len(classes), workers), strict=True))
    problems += [problem for finding in findings.values() for problem in finding.problems]
    if not problems:
        for name, listed in lists.items():
            if not any(_is_labelled(findings[image]) for image in listed):
                problems.append(f"{root / name}: every label map is entirely {IGNORE}; expected some labelled pixels")
    if problems:
        raise UserError(describe_problems(root, problems))
    train, test = ([findings[name] for name in lists[subset]] for subset in (TRAIN, TEST))
    index = DatasetIndex(classes, _records(train), _records(test))
    return index, AuditReport(classes, _count(train, len(classes)), _count(test, len(classes)))


def inspect(root: Path, class_count: int, name: str) -> Finding:
    """Decode and check one image and its label map.

    Args:
        root: the dataset's folder.
        class_count: K; 0 if unknown, then ids are not checked.
        name: stem of the image.
    """
    images = [root / IMAGES / f"{name}{suffix}" for suffix in SUFFIXES if (root / IMAGES / f"{name}{suffix}").is_file()]
    label = root / LABELS / f"{name}.png"
    problems = []
    size = shape = None
    if len(images) > 1:
        problems.append(f"{' and '.join(str(path) for path in images)}: two images of one name; remove one")
    elif not images:
        problems.append(f"{root / IMAGES / name}.jpg (or .png): listed image not found")
    else:
        try:
            _check_chunks(images[0])
            size = read_image(images[0]).shape[:2]
        except UserError as error:
            problems.append(str(error))
    try:
        _check_chunks(label)
        label_map = read_label(label)
        shape = label_map.shape
    except UserError as error:
        problems.append(str(error))
    if size and shape and size != shape:
        problems.append(
            f"{images[0]} is {size[1]}x{size[0]} (width x height, upright) but {label} is "
            f"{shape[1]}x{shape[0]}; expected equal sizes"
        )
    if shape is None:
        return Finding(tuple(problems))
    counts = np.bincount(label_map.ravel(), minlength=256)
    present = [int(i) for i in np.flatnonzero(counts) if i != IGNORE]
    wrong = [i for i in present if i >= class_count > 0]
    if wrong:
        problems.append(
            f"{label}: label ids out of range: {', '.join(map(str, wrong))}; expected 0..{class_count - 1}, "
            f"or {IGNORE} for ignore"
        )
    if problems:
        return Finding(tuple(problems))
    record = ImageRecord(
        name,
        _relative(images[0], root),
        _relative(label, root),
        *shape,
        tuple(present),
        _hash(images[0]),
        _hash(label),
    )
    return Finding((), record, tuple(counts.tolist()))


def _inspect_all(root: Path, names: Sequence[str], class_count: int, workers: int) -> list[Finding]:
    """Return the finding of every name, in order, from `workers` processes."""
    size = max(1, min(64, len(names) // (4 * max(1, workers))))
    parts = [names[first : first + size] for first in range(0, len(names), size)]
    task = partial(_inspect_part, root, class_count)
    found = dict(in_processes(task, parts, workers, f"{root}: checking"))
    return [finding for number in sorted(found) for finding in found[number]]


def _inspect_part(root: Path, class_count: int, names: Sequence[str]) -> list[Finding]:
    return [inspect(root, class_count, name) for name in names]


def _check_chunks(path: Path) -> None:
    """Verify the checksums of a PNG's chunks, which decoding alone does not; other formats have none."""
    try:
        with Image.open(path) as image:
            image.verify()
    except FileNotFoundError:
        return
    except DECODING_ERRORS as error:
        raise UserError(f"{path}: {describe_decoding_error(error)}; copy or download it again") from error


def _check_lists(root: Path, lists: dict[str, list[str]]) -> list[str]:
    """Return the problems of the two lists of names."""
    problems = []
    for name, listed in lists.items():
        if not listed:
            problems.append(f"{root / name}: empty; expected one image name per line")
        problems += [
            f"{root / name}: '{image}' listed {count} times; keep one line"
            for image, count in Counter(listed).items()
            if count > 1
        ]
        problems += [
            f"{root / name}: '{image}' is not a plain name; expected a file of {IMAGES}/ without extension"
            for image in dict.fromkeys(listed)
            if not _is_stem(image)
        ]
    in_test = set(lists[TEST])
    both = [image for image in dict.fromkeys(lists[TRAIN]) if image in in_test]
    problems += [f"{root}: '{image}' listed in both {TRAIN} and {TEST}; keep one" for image in both]
    return problems


def _check_counts(root: Path, lists: dict[str, list[str]], classes: tuple[str, ...], expect: Expected) -> list[str]:
    """Return which of the published counts do not hold."""
    counts = [
        ("train", "training images", len(lists[TRAIN])),
        ("test", "test images", len(lists[TEST])),
        ("classes", "classes", len(classes)),
    ]
    return [
        f"{root}: {found} {what} found, but {wanted} are published (expect.{key} of the dataset's file); is the source "
        f"complete? To use a part of it, set expect.{key} to {found}"
        for key, what, found in counts
        if (wanted := getattr(expect, key)) is not None and found != wanted
    ]


def _is_stem(name: str) -> bool:
    """Return whether a listed name is a plain file name, not a path."""
    return not any(letter in name for letter in "/\\\0") and name not in (".", "..")


def _is_labelled(finding: Finding) -> bool:
    """Return whether any pixel has a class."""
    return finding.record is not None and bool(finding.record.labels)


def _records(findings: Sequence[Finding]) -> tuple[ImageRecord, ...]:
    """Return the records of the images that have a labelled pixel."""
    return tuple(finding.record for finding in findings if finding.record and finding.record.labels)


def _count(findings: Sequence[Finding], class_count: int) -> SubsetCounts:
    """Return the counts of a subset from findings without problems."""
    records = _records(findings)
    counts = np.array([finding.counts for finding in findings if _is_labelled(finding)])
    images = [sum(i in record.labels for record in records) for i in range(class_count)]
    dropped = tuple(finding.record.name for finding in findings if finding.record and not finding.record.labels)
    pixels = tuple(counts[:, :class_count].sum(0).tolist())
    return SubsetCounts(len(records), tuple(images), pixels, float(counts[:, IGNORE].sum() / counts.sum()), dropped)


def _tuple(value: object) -> object:
    """Return a JSON list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def _relative(path: Path, root: Path) -> str:
    """Return a path below the root with forward slashes."""
    return path.relative_to(root).as_posix()


def _hash(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
