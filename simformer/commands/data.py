"""Subcommands from a dataset's source to the label sets of a split."""

from __future__ import annotations

import argparse
import sys

from simformer.commands.options import DATA, INDEX, LABELS, OUTPUT, SPLIT, WORKERS, command, parsed, path

# Heavy imports (torch, pydantic) stay inside the commands, so that `--help` and data stages start fast.


def fetch(args: argparse.Namespace) -> None:
    """Download a published archive and check it; an interrupted download is continued."""
    from simformer.config.sources import Archive
    from simformer.data.fetch import fetch as run

    run(parsed(Archive, args.archive, "--archive"), args.output)


def prepare(args: argparse.Namespace) -> None:
    """Generate or import a dataset into the prepared layout."""
    from simformer.config.sources import parse_archives, parse_source
    from simformer.data.prepare import prepare as run
    from simformer.text.strict_json import read_option

    source = parse_source(read_option(args.source, "--source"))
    run(source, parse_archives(args.archive, source), args.output, args.workers)


def audit(args: argparse.Namespace) -> None:
    """Check every image and label of a prepared dataset and write its index."""
    from simformer.config.sources import Expected
    from simformer.data.audit import audit as run

    index, report = run(args.data, args.workers, parsed(Expected, args.expect, "--expect"))
    report.save(args.report)
    index.save(args.index)
    for note in report.notes:
        print(f"{args.data}: note: {note}", file=sys.stderr)


def audit_page(args: argparse.Namespace) -> None:
    """Write what a dataset holds as JSON, Markdown and a picture."""
    from simformer.analysis.pages.audit_page import write_audit_page
    from simformer.data.audit_report import AuditReport
    from simformer.data.splits import Split

    splits = {path.parent.name: Split.load(path) for path in args.splits}
    write_audit_page(AuditReport.load(args.report), args.index, splits, args.data, args.output)


def split(args: argparse.Namespace) -> None:
    """Resolve a base/novel split."""
    from simformer.data.layout import read_classes, read_tags_only
    from simformer.data.splits import make_split
    from simformer.study.files import read_split

    made = make_split(read_classes(args.data), read_split(args.spec, "--spec"))
    made.refuse_maskless(read_tags_only(args.data))
    made.save(args.output)


def splits_page(args: argparse.Namespace) -> None:
    """Write the page of the pinned splits."""
    from simformer.analysis.pages.splits_page import write_splits_page
    from simformer.config.sources import ClassCounts

    write_splits_page(args.splits, parsed(ClassCounts, args.classes, "--classes").root, args.output)


def mask_labels(args: argparse.Namespace) -> None:
    """Write label maps with hidden novel pixels (the weak-shot wall)."""
    from simformer.data.masking import mask_labels as run

    run(args.data, args.index, args.split, args.output)


def image_labels(args: argparse.Namespace) -> None:
    """Write the image-level labels alone: a label set without any mask."""
    from simformer.data.masking import image_labels as run

    run(args.index, args.output)


def crop_labels(args: argparse.Namespace) -> None:
    """Write labels as released: novel labels of each training crop instead of the whole image."""
    from simformer.data.masking import crop_labels as run

    run(args.labels, args.split, args.output)


def fill_labels(args: argparse.Namespace) -> None:
    """Write the control labels: the not-base region given to a present novel class."""
    from simformer.data.derived_labels import fill_labels as run

    run(args.labels, args.output)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    command(commands, fetch, ("--archive", {"required": True, "help": "urls, bytes and checksum, JSON"}), OUTPUT)
    command(
        commands, prepare, ("--source", {"required": True, "help": "source of the dataset file, JSON"}),
        ("--archive", {"action": "append", "default": [], "metavar": "NAME=PATH", "help": "fetched archive (many)"}),
        WORKERS, OUTPUT,
    )  # fmt: skip
    command(
        commands, audit, DATA, path("index", "index to write"), path("report", "report to write"),
        ("--expect", {"default": "{}", "help": "published counts, JSON"}), WORKERS,
    )  # fmt: skip
    command(
        commands, audit_page, DATA, INDEX, path("report", "report of the audit"),
        path("splits", "split.yaml of every split", nargs="+"), OUTPUT,
    )  # fmt: skip
    command(commands, split, DATA, ("--spec", {"required": True, "help": "JSON"}), OUTPUT)
    command(
        commands, splits_page, path("splits", "pinned split files, <dataset>/split<k>.yaml", nargs="+"),
        ("--classes", {"required": True, "help": "number of classes by dataset, JSON"}), OUTPUT,
    )  # fmt: skip
    command(commands, mask_labels, DATA, INDEX, SPLIT, OUTPUT)
    command(commands, image_labels, INDEX, OUTPUT)
    command(commands, crop_labels, LABELS, SPLIT, OUTPUT)
    command(commands, fill_labels, LABELS, OUTPUT)
