"""Subcommands from a dataset's source to the label sets of a split."""

from __future__ import annotations

import argparse
import sys

from simformer.commands.options import DATA, INDEX, LABELS, OUTPUT, OUTPUT_FOLDER, SPLIT, WORKERS, command, parsed, path

# Heavy imports (torch, pydantic) stay inside the commands, so that `--help` and data stages start fast.


def fetch(args: argparse.Namespace) -> None:
    """Download a published archive and check that it is complete.

    If the download was interrupted, the same command goes on where it stopped.
    """
    from simformer.config.sources import Archive
    from simformer.data.fetch import fetch as run

    run(parsed(Archive, args.archive, "--archive"), args.output)


def prepare(args: argparse.Namespace) -> None:
    """Bring a dataset into the layout that all stages read.

    The source is a generator of synthetic scenes, a published dataset, or a folder of your own.
    """
    from simformer.config.sources import parse_archives, parse_source
    from simformer.data.prepare import prepare as run
    from simformer.text.strict_json import read_option

    source = parse_source(read_option(args.source, "--source"))
    run(source, parse_archives(args.archive, source), args.output, args.workers)


def audit(args: argparse.Namespace) -> None:
    """Check every image and label of a dataset, and write its index."""
    from simformer.config.sources import Expected
    from simformer.data.audit import audit as run

    index, report = run(args.data, args.workers, parsed(Expected, args.expect, "--expect"))
    report.save(args.report)
    index.save(args.index)
    for note in report.notes:
        print(f"{args.data}: note: {note}", file=sys.stderr)


def audit_page(args: argparse.Namespace) -> None:
    """Write a page about a dataset: JSON, Markdown and a picture."""
    from simformer.analysis.pages.audit_page import write_audit_page
    from simformer.data.audit_report import AuditReport
    from simformer.data.splits import Split

    splits = {path.parent.name: Split.load(path) for path in args.splits}
    write_audit_page(AuditReport.load(args.report), args.index, splits, args.data, args.output)


def split(args: argparse.Namespace) -> None:
    """Write which classes of a dataset are base and which are novel."""
    from simformer.data.layout import read_classes, read_tags_only
    from simformer.data.splits import make_split
    from simformer.study.files import read_split

    made = make_split(read_classes(args.data), read_split(args.spec, "--spec"))
    made.refuse_maskless(read_tags_only(args.data))
    made.save(args.output)


def splits_page(args: argparse.Namespace) -> None:
    """Write the page of the splits that the repository pins."""
    from simformer.analysis.pages.splits_page import write_splits_page
    from simformer.config.sources import ClassCounts

    write_splits_page(args.splits, parsed(ClassCounts, args.classes, "--classes").root, args.output)


def mask_labels(args: argparse.Namespace) -> None:
    """Write the label set of a split, with its novel pixels hidden.

    This is the weak-shot wall: weak trainings read this label set, and nothing before it.
    """
    from simformer.data.masking import mask_labels as run

    run(args.data, args.index, args.split, args.output)


def image_labels(args: argparse.Namespace) -> None:
    """Write a label set of image-level labels alone, without masks."""
    from simformer.data.masking import image_labels as run

    run(args.index, args.output)


def crop_labels(args: argparse.Namespace) -> None:
    """Write labels of each training crop, as the released code does.

    The novel classes are those in the crop, instead of those in the whole image.
    """
    from simformer.data.masking import crop_labels as run

    run(args.labels, args.split, args.output)


def fill_labels(args: argparse.Namespace) -> None:
    """Write the labels of the trivial control, Fill*.

    The whole not-base region of an image is given to one class, the most frequent of its novel classes.
    """
    from simformer.data.derived_labels import fill_labels as run

    run(args.labels, args.output)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    command(
        commands,
        fetch,
        ("--archive", {"required": True, "help": "addresses, size and checksum of the archive, JSON"}),
        OUTPUT,
    )
    command(
        commands, prepare, ("--source", {"required": True,
                                         "help": "where the dataset comes from, JSON: `source` of its file"}),
        ("--archive", {"action": "append", "default": [], "metavar": "NAME=PATH",
                       "help": "archive that was fetched; may be repeated; default: none"}),
        WORKERS, OUTPUT_FOLDER,
    )  # fmt: skip
    command(
        commands, audit, DATA, path("index", "index.json to write"), path("report", "report of the audit to write"),
        ("--expect", {"default": "{}",
                                   "help": "numbers that were published about the dataset, JSON; default: no check"}),
        WORKERS,
    )  # fmt: skip
    command(
        commands, audit_page, DATA, INDEX, path("report", "report that the audit wrote"),
        path("splits", "split.yaml of each split", nargs="+"), OUTPUT,
    )  # fmt: skip
    command(
        commands,
        split,
        DATA,
        ("--spec", {"required": True, "help": "how the split is made, JSON: an entry of `splits` in a study"}),
        OUTPUT,
    )
    command(
        commands, splits_page, path("splits", "files of the pinned splits, <dataset>/split<k>.yaml", nargs="+"),
        ("--classes", {"required": True, "help": "number of classes by dataset, JSON"}), OUTPUT,
    )  # fmt: skip
    command(commands, mask_labels, DATA, INDEX, SPLIT, OUTPUT_FOLDER)
    command(commands, image_labels, INDEX, OUTPUT_FOLDER)
    command(commands, crop_labels, LABELS, SPLIT, OUTPUT_FOLDER)
    command(commands, fill_labels, LABELS, OUTPUT_FOLDER)
