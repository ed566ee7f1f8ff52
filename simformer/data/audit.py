"""Audit of a prepared dataset on the CPU: every file is decoded and checked before any training sees it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from simformer.config.settings import IGNORE
from simformer.config.sources import Expected
from simformer.data.audit_checks import count_problems, id_problems, list_problems, notes_on, photographs_in_both
from simformer.data.audit_report import AuditReport, SubsetCounts
from simformer.data.finished import how_to_mend, named_with_sources
from simformer.data.index import DatasetIndex
from simformer.data.inspection import Finding, Listed, inspect
from simformer.data.layout import (
    EXPECTED,
    IMAGES,
    LABEL_SUFFIXES,
    LABELS,
    SUFFIXES,
    TEST,
    TRAIN,
    missing_pieces,
    read_classes,
    read_names,
)
from simformer.data.named_files import NamedFiles, list_name_problem
from simformer.data.pool import in_processes
from simformer.data.tags import read_tags
from simformer.errors import UserError, describe_problems

NOTHING_EXPECTED = Expected()

TOLERATED_SHARE = 0.02
"""Of the test images may show a photograph of a training image, noted in the report: MSRC-21's own lists have two."""


def audit(root: Path, workers: int, expect: Expected = NOTHING_EXPECTED) -> tuple[DatasetIndex, AuditReport]:
    """Check a dataset in the prepared layout and index it; nothing is written.

    Checked: the lists (empty, repeated or unsafe names), the class file, and of every listed image that its
    two files exist, decode to the end as `simformer.data.images` says and have equal size (upright, not tiny, no
    strip), and that the label map holds ids 0..K-1 or 255. An image whose label is entirely 255 is left out and
    named in the report, unless it is a training image that is stated to show a class without masks, or no test image
    has masks. Also checked: the published numbers of images and classes, that no photograph is in both subsets, and
    that the tags (tags.py) name classes and images that there are, and agree with the label maps.

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
    problems += list_problems(root, lists) + count_problems(root, lists, classes, expect)
    names = [name for name in dict.fromkeys(lists[TRAIN] + lists[TEST]) if list_name_problem(name) is None]
    images = NamedFiles(root / IMAGES, SUFFIXES, "image")
    listed = _find_files(names, images, NamedFiles(root / LABELS, LABEL_SUFFIXES, "label map"))
    findings = dict(zip(names, _inspect_all(root, listed, workers), strict=True))
    problems += [problem for finding in findings.values() for problem in finding.problems]
    problems += id_problems(root, list(findings.values()), len(classes))
    train, test = ([findings[name] for name in lists[subset] if name in findings] for subset in (TRAIN, TEST))
    if classes:
        tags, wrong = read_tags(root, classes, findings)
        problems += wrong + tags.contradictions(findings, lists[TRAIN])
        train = [tags.told(finding) for finding in train]
    twice = photographs_in_both(train, test)
    if len(twice) > TOLERATED_SHARE * len(test):
        problems += twice
    if not problems:
        for name, found in ((TRAIN, train), (TEST, test)):
            if not any(any(finding.counts[:IGNORE]) for finding in found) and not (tags.only and name == TEST):
                problems.append(f"{root / name}: every label map is entirely {IGNORE}; expected some labelled pixels")
    if problems:
        told = describe_problems(named_with_sources(root), problems)
        raise UserError(f"{told}{'; ' if len(problems) == 1 else chr(10)}{how_to_mend(root)}")
    kept = list(map(_kept, (train, test)))
    counts = [_count(found, of_subset, len(classes)) for found, of_subset in zip((train, test), kept, strict=True)]
    notes = twice + notes_on(classes, (train, test), counts, images.unlisted(findings), tags.only)
    notes += tags.notes(kept[0], counts[1].pixels_per_class)
    in_train, in_test = (tuple(finding.record for finding in found if finding.record) for found in kept)
    index = DatasetIndex(classes, in_train, in_test, tags_only=tags.only)
    return index, AuditReport(classes, counts[0], counts[1], tuple(notes))


def _find_files(names: Sequence[str], images: NamedFiles, labels: NamedFiles) -> list[Listed]:
    """Return every name with its image and its label map."""
    found = []
    for name in names:
        paths: list[Path | None] = []
        problems = []
        for files in (images, labels):
            try:
                paths.append(files.find(name))
            except UserError as error:
                paths.append(None)
                problems.append(str(error))
        image, label = paths
        found.append(Listed(name, image, label, tuple(problems)))
    return found


def _inspect_all(root: Path, listed: Sequence[Listed], workers: int) -> list[Finding]:
    """Return the finding of every name, in order, from `workers` processes."""
    size = max(1, min(64, len(listed) // (4 * max(1, workers))))
    parts = [listed[first : first + size] for first in range(0, len(listed), size)]
    found = dict(in_processes(partial(_inspect_part, root), parts, workers, f"{root}: checking"))
    return [finding for number in sorted(found) for finding in found[number]]


def _inspect_part(root: Path, listed: Sequence[Listed]) -> list[Finding]:
    return [inspect(root, each) for each in listed]


def _kept(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of the images that show a class, by masks or by tags; of all images if none does."""
    return [finding for finding in findings if finding.record and finding.record.labels] or list(findings)


def _count(findings: Sequence[Finding], kept: Sequence[Finding], class_count: int) -> SubsetCounts:
    """Return the counts of a subset from findings without problems, and from those of them that are kept."""
    counts = np.array([finding.counts for finding in kept])
    images = [sum(i in finding.record.labels for finding in kept if finding.record) for i in range(class_count)]
    names = {finding.name for finding in kept}
    dropped = tuple(finding.name for finding in findings if finding.name not in names)
    pixels = tuple(counts[:, :class_count].sum(0).tolist())
    return SubsetCounts(len(kept), tuple(images), pixels, float(counts[:, IGNORE].sum() / counts.sum()), dropped)
