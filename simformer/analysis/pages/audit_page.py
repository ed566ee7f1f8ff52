"""The audit page of a dataset: what it holds, how classes and splits are distributed, and what it looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from simformer.analysis import markup
from simformer.analysis.figures.style import figure_text, write_png
from simformer.atomic import atomic_write_text
from simformer.config.settings import IGNORE
from simformer.data.audit_report import AuditReport, SubsetCounts
from simformer.data.checked import read_photograph
from simformer.data.identity import require_groups
from simformer.data.index import DatasetIndex
from simformer.data.palette import BASE_COLOUR, IGNORE_COLOUR, NOVEL_COLOUR, class_colours
from simformer.data.splits import Split
from simformer.data.truth import read_truth
from simformer.errors import UserError
from simformer.text.json_text import json_text

EXAMPLES = 5
"""Training images that are shown."""
OPACITY = 0.6
"""Of the class colours over a photograph."""
NAMED = 6
"""Classes named below an example, the largest first."""
LONGEST_TICK, LONGEST_HANDLE = 16, 15
"""Letters of a class name below the bars, and below an example; the table beside the picture has all of them."""


def write_audit_page(
    report: AuditReport, index: DatasetIndex, splits: dict[str, Split], data: Path, output: Path
) -> None:
    """Write the page as JSON, and beside it as Markdown (.md) and as a picture (.png).

    Args:
        report: counts of the audit.
        index: the audited index.
        splits: base and novel classes of every split, by the split's name.
        data: folder of the prepared dataset.
        output: path of the JSON.
    Raises: UserError if report, index and splits are not of one audit of one dataset.
    """
    if report.classes != index.classes or any(
        counts.images_per_class != tuple(sum(k in r.labels for r in records) for k in range(len(index.classes)))
        for counts, records in ((report.train, index.train), (report.test, index.test))
    ):
        raise UserError(
            f"{index.where} and the report do not come from one audit (their classes or numbers of images differ); "
            "delete both and run the audit again"
        )
    for split in splits.values():
        require_groups(index.identity, split)
    facts = summarise(report, index, splits)
    picture = _picture(facts, index, data)
    atomic_write_text(output, json_text(facts, indent=1) + "\n")
    atomic_write_text(output.with_suffix(".md"), _markdown(facts))
    write_png(picture, output.with_suffix(".png"), 110)


def summarise(report: AuditReport, index: DatasetIndex, splits: dict[str, Split]) -> dict[str, Any]:
    """Collect the facts of the page.

    Returns: `notes` (what to look at), `subsets` (name -> images, dropped, ignore share), `classes` (id, name, images
        and pixels of both subsets, in id order), `splits` (name -> number of base and novel classes; training images
        that hold a base, a novel, both; shares of the training pixels that are base, novel, unlabelled). What is not
        known, since classes have no masks, is None: their training pixels, and the novel pixels of the splits.
    """
    subsets = {"train": report.train, "test": report.test}
    return {
        "notes": list(report.notes),
        "subsets": {
            name: {
                "images": counts.images,
                "listed": counts.images + len(counts.dropped),
                "dropped": list(counts.dropped),
                "unlabelled": counts.ignore_share,
            }
            for name, counts in subsets.items()
        },
        "classes": [
            {"id": k, "name": name}
            | {f"{s}_images": counts.images_per_class[k] for s, counts in subsets.items()}
            | {"train_pixels": None if k in index.tags_only else report.train.pixels_per_class[k]}
            | {"test_pixels": report.test.pixels_per_class[k]}
            for k, name in enumerate(report.classes)
        ],
        "splits": {name: _split_facts(split, report.train, index) for name, split in splits.items()},
    }


def _split_facts(split: Split, counts: SubsetCounts, index: DatasetIndex) -> dict[str, Any]:
    novel, records = set(split.novel), index.train
    has_novel = [not novel.isdisjoint(record.labels) for record in records]
    has_base = [not novel.issuperset(record.labels) for record in records]
    labelled = 1 - counts.ignore_share
    pixels = np.array(counts.pixels_per_class, dtype=np.float64)
    novel_share = float(pixels[list(novel)].sum() / max(1, pixels.sum())) * labelled
    return {
        "base_classes": len(split.base),
        "novel_classes": len(split.novel),
        "images_with_base": sum(has_base),
        "images_with_novel": sum(has_novel),
        "images_with_both": sum(b and n for b, n in zip(has_base, has_novel, strict=True)),
        "base_pixels": labelled - novel_share,
        "novel_pixels": novel_share if novel.isdisjoint(index.tags_only) else None,
        "unlabelled_pixels": counts.ignore_share,
        "rarest_novel": min(((counts.images_per_class[k], split.classes[k]) for k in novel), default=None),
    }


def _markdown(facts: dict[str, Any]) -> str:
    lines = ["| | images | of listed | unlabelled pixels |", "|---|---:|---:|---:|"]
    for name, subset in facts["subsets"].items():
        lines.append(f"| {name} | {subset['images']} | {subset['listed']} | {subset['unlabelled']:.1%} |")
    for name, subset in facts["subsets"].items():
        if subset["dropped"]:
            lines += ["", f"Dropped from {name}, no labelled pixel: {', '.join(map(markup.name, subset['dropped']))}."]
    if facts["notes"]:
        lines += ["", "To look at:", "", *(f"- {markup.name(note)}" for note in facts["notes"])]
    lines += ["", "| split | base : novel classes | training images with base | with novel | with both |"]
    lines[-1] += " base pixels | novel pixels | rarest novel class (images) |"
    lines.append("|---|---:|---:|---:|---:|---:|---:|---|")
    for name, split in facts["splits"].items():
        count, rarest = split["rarest_novel"] or (0, "none")
        cells = [
            markup.name(name),
            f"{split['base_classes']} : {split['novel_classes']}",
            *(split[f"images_with_{group}"] for group in ("base", "novel", "both")),
            f"{split['base_pixels']:.1%}",
            "-" if split["novel_pixels"] is None else f"{split['novel_pixels']:.1%}",
            f"{markup.name(rarest)} ({count})",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "| id | class | train images | test images | train pixels | test pixels |"]
    lines.append("|---:|---|---:|---:|---:|---:|")
    totals = {s: max(1, sum(c[f"{s}_pixels"] or 0 for c in facts["classes"])) for s in ("train", "test")}
    for c in facts["classes"]:
        pixels = {s: c[f"{s}_pixels"] for s in ("train", "test")}
        shares = " | ".join("-" if found is None else f"{found / totals[s]:.3%}" for s, found in pixels.items())
        lines.append(f"| {c['id']} | {markup.name(c['name'])} | {c['train_images']} | {c['test_images']} | {shares} |")
    return "\n".join(lines) + "\n"


def _picture(facts: dict[str, Any], index: DatasetIndex, data: Path) -> Figure:
    """Draw class frequencies, the shares of the splits and some training images."""
    figure = plt.figure(figsize=(13, 11), layout="constrained")
    heights = [1, 1, 0.35 + 0.13 * len(facts["splits"]), 1.5]
    rows = figure.subfigures(4, 1, squeeze=False, height_ratios=heights)[:, 0]
    _class_bars(rows[0].subplots(), facts, "pixels", "labelled pixels (%)")
    _class_bars(rows[1].subplots(), facts, "images", "images")
    _split_bars(rows[2].subplots(), facts)
    _examples(rows[3].subplots(1, EXAMPLES), index, data)
    return figure


def _class_bars(axis: Axes, facts: dict[str, Any], what: str, title: str) -> None:
    classes, smallest, largest = facts["classes"], np.inf, 0.0
    for offset, (subset, colour) in zip((-0.2, 0.2), (("train", "tab:blue"), ("test", "tab:orange")), strict=True):
        values = np.array([c[f"{subset}_{what}"] or 0 for c in classes], dtype=float)
        if what == "pixels":
            values *= 100 / max(1.0, values.sum())
        axis.bar(np.arange(len(classes)) + offset, values, width=0.4, color=colour, label=subset)
        largest, smallest = max(largest, values.max()), min([smallest, *values[values > 0]])
    _whole_decades(axis, smallest, largest)
    axis.set_ylabel(title)
    axis.set_xlim(-1, len(classes))
    if len(classes) <= 40:
        axis.set_xticks(
            range(len(classes)),
            [f"{c['id']} {figure_text(c['name'], LONGEST_TICK)}" for c in classes],
            rotation=60,
            rotation_mode="anchor",
            ha="right",
            fontsize=8,
        )
    else:
        axis.set_xlabel("class id")
    axis.legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1), fontsize=8)


def _whole_decades(axis: Axes, smallest: float, largest: float) -> None:
    """Make the vertical axis logarithmic, from the power of ten below the values to the one above, and name these."""
    low, high = np.floor(np.log10(0.99 * smallest)), np.ceil(np.log10(1.01 * largest))
    axis.set_yscale("log")
    axis.set_ylim(10.0**low, 10.0**high)
    axis.yaxis.set_major_locator(LogLocator(numticks=5))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _split_bars(axis: Axes, facts: dict[str, Any]) -> None:
    names = list(facts["splits"])
    left = np.zeros(len(names))
    groups = (("base", BASE_COLOUR), ("novel", NOVEL_COLOUR), ("unlabelled", IGNORE_COLOUR))
    for group, colour in groups:
        values = np.array([facts["splits"][name][f"{group}_pixels"] or 0.0 for name in names])
        axis.barh([figure_text(name) for name in names], values, left=left, color=np.array(colour) / 255, label=group)
        left += values
    axis.set_xlim(0, 1)
    axis.invert_yaxis()
    axis.set_xlabel("share of training pixels")
    axis.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), fontsize=8)


def _examples(axes: np.ndarray, index: DatasetIndex, data: Path) -> None:
    """Show training images at random (always the same) under their class colours, the largest classes named."""
    count = min(EXAMPLES, len(index.train))
    chosen = np.sort(np.random.default_rng(0).choice(len(index.train), count, replace=False))
    colours = class_colours(len(index.classes))
    for axis in axes:
        axis.set_axis_off()
    for axis, record in zip(axes, (index.train[i] for i in chosen), strict=False):
        image, label = read_photograph(data, record), read_truth(data, record)
        overlay = np.where((label == IGNORE)[..., None], image, (1 - OPACITY) * image + OPACITY * colours[label])
        axis.imshow(overlay.astype(np.uint8))
        axis.set_title(figure_text(record.name, LONGEST_TICK), fontsize=8)
        largest = np.argsort(-np.bincount(label.ravel(), minlength=256)[: len(index.classes)], kind="stable")
        present = [int(k) for k in largest if k in record.labels][:NAMED]
        names = [figure_text(index.classes[k], LONGEST_HANDLE) for k in present]
        handles = [Patch(color=colours[k] / 255, label=name) for k, name in zip(present, names, strict=True)]
        axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, fontsize=7, frameon=False)
