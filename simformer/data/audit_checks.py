"""Checks of a dataset as a whole: its lists, published counts and ids, photographs in both subsets, absent classes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simformer.config.settings import IGNORE
from simformer.config.sources import Expected
from simformer.data.audit_report import SubsetCounts
from simformer.data.inspection import Finding
from simformer.data.layout import CLASSES, LABELS, TEST, TRAIN
from simformer.data.named_files import list_name_problem
from simformer.errors import some

SHOWN = 10
"""Names or ids that a line spells out; the rest is counted."""


def list_problems(root: Path, lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the problems of the two lists of names: empty, repeated or impossible names, names in both."""
    problems = []
    for name, listed in lists.items():
        if not listed:
            problems.append(f"{root / name}: empty; expected one image name per line")
        problems += [
            f"{root / name}: '{image}' listed {count} times; keep one line"
            for image, count in Counter(listed).items()
            if count > 1
        ]
        wrong = map(list_name_problem, dict.fromkeys(listed))
        problems += [f"{root / name}: {problem}" for problem in wrong if problem]
    in_test = set(lists[TEST])
    both = [image for image in dict.fromkeys(lists[TRAIN]) if image in in_test]
    return problems + [f"{root}: '{image}' listed in both {TRAIN} and {TEST}; keep one" for image in both]


def count_problems(
    root: Path, lists: Mapping[str, Sequence[str]], classes: Sequence[str], expect: Expected
) -> list[str]:
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


def id_problems(root: Path, findings: Sequence[Finding], class_count: int) -> list[str]:
    """Return the problems with ids beyond K - 1: one for all if the ids tell how they were counted, else by file.

    Args:
        root: the dataset's folder.
        findings: of all images.
        class_count: K; 0 if unknown, then nothing is checked.
    """
    wrong = {
        str(finding.label): beyond
        for finding in findings
        if (beyond := [i for i, count in enumerate(finding.counts) if count and class_count <= i != IGNORE])
    }
    if not class_count or not wrong:
        return []
    histogram = _histogram(findings)
    largest = max(i for i in histogram if i != IGNORE)
    others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    seen = f"ids seen: {_describe_ids(histogram)}; {largest} is in {min(wrong)}{others}"
    names = f"{root / CLASSES} has {class_count} name{'s' * (class_count > 1)}, for 0..{class_count - 1}"
    if largest == class_count and 0 not in histogram:
        return [f"{root / LABELS}: do your ids count from 1? {seen}; {names}: subtract 1 from every id but {IGNORE}"]
    if largest == class_count:
        return [
            f"{root / LABELS}: one id too many, {seen}; {names}: does 0 mean no class? Then write {IGNORE} there and "
            "subtract 1 from every other id; or add the missing name"
        ]
    return [
        f"{label}: label ids out of range: {', '.join(map(str, ids))}; expected 0..{class_count - 1}, "
        f"or {IGNORE} for ignore"
        for label, ids in wrong.items()
    ]


def photographs_in_both(train: Sequence[Finding], test: Sequence[Finding]) -> list[str]:
    """Return a line for each training image whose photograph is a test image, too, under another name."""
    tests = {finding.pixels_sha256: finding for finding in test}
    pairs = [(finding, tests[finding.pixels_sha256]) for finding in train if finding.pixels_sha256 in tests]
    return [
        f"{mine.record.image} ({TRAIN}) and {other.record.image} ({TEST}) are the same photograph: a test must not "
        "show what was trained on; remove one name from its list"
        for mine, other in pairs
        if mine.record and other.record and mine.name != other.name
    ]


def notes_on(
    classes: Sequence[str],
    findings: tuple[Sequence[Finding], Sequence[Finding]],
    counts: Sequence[SubsetCounts],
    unlisted: Sequence[str],
    tags_only: Sequence[int],
) -> list[str]:
    """Return what is no fault by itself but should be looked at, one line each.

    Args:
        classes: the K names.
        findings, counts: of the training and of the test images.
        unlisted: images that are in neither list.
        tags_only: ids of the classes without masks.
    """
    notes = []
    histogram = _histogram([*findings[0], *findings[1]])
    with_masks = len(classes) - len(tags_only)
    if set(histogram) <= {0, IGNORE} and IGNORE in histogram and with_masks > 1:
        notes.append(
            f"label maps hold nothing but 0 and {IGNORE}, and {IGNORE} means no class; if it should be "
            f"'{classes[1]}', write 1 instead"
        )
    elif 0 not in histogram and 0 not in tags_only:
        notes.append(f"id 0 ('{classes[0]}') never occurs; do your ids count from 1? {_describe_ids(histogram)}")
    for subset, found in zip(("training", "test"), counts, strict=True):
        told = tags_only if subset == "test" else ()  # of these there is a note already
        absent = [f"'{classes[k]}'" for k, count in enumerate(found.images_per_class) if not count and k not in told]
        if absent:
            notes.append(f"no {subset} image shows {some(absent, SHOWN)}")
    for name, inspected in zip((TRAIN, TEST), findings, strict=True):
        notes += [f"{name}: {' and '.join(names)} are the same photograph" for names in _repeated(inspected)]
    if unlisted:
        notes.append(f"images in neither list: {some(unlisted, SHOWN)}")
    return notes


def _repeated(findings: Sequence[Finding]) -> list[list[str]]:
    """Return the names of images that show one photograph, for every photograph that several show."""
    names: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        names[finding.pixels_sha256].append(finding.name)
    return [group for group in names.values() if len(group) > 1]


def _histogram(findings: Sequence[Finding]) -> dict[int, int]:
    """Return the pixels of every id that occurs; 255 is among them, last."""
    counts = np.array([finding.counts for finding in findings if finding.counts], np.int64)
    total: NDArray[np.int64] = counts.sum(axis=0)
    return {int(i): int(total[i]) for i in np.flatnonzero(total)}


def _describe_ids(histogram: Mapping[int, int]) -> str:
    """Return ids with their share of the labelled pixels."""
    labelled = sum(count for i, count in histogram.items() if i != IGNORE)
    return some([f"{i} ({count / labelled:.1%})" for i, count in histogram.items() if i != IGNORE], SHOWN)
