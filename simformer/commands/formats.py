"""The subcommand that imports masks and tags of other formats; no rule calls it: a user types it once."""

from __future__ import annotations

import argparse

from simformer.commands.options import OUTPUT_FOLDER, WORKERS, command, path, some_path
from simformer.errors import UserError

FORMAT_PATH = ("FORMAT", "PATH")


def import_(args: argparse.Namespace) -> None:
    """Import photographs, masks and tags from formats of other tools.

    docs/formats.md describes the formats.
    """
    from simformer.data.formats.annotations import Options
    from simformer.data.formats.importing import Request, import_dataset
    from simformer.study.first_look import (
        dataset_name,
        places,
        printed_first_look,
        refuse_prepared,
        write_first_look,
    )

    if args.study is not None:
        places(args.study, args.output)  # before the work, not after it
        if not args.masks:
            raise UserError(f"--study {args.study}: a study needs masks of at least one class; add --masks FORMAT PATH")
    else:
        refuse_prepared(args.output, dataset_name(args.output.resolve().name))
    options = Options(args.names, args.colours, args.reduce_zero_label, args.mask_suffix, args.column, args.confidence)
    request = Request(
        images=args.images,
        masks=[(form, some_path(place)) for form, place in args.masks],
        tags=[(form, some_path(place)) for form, place in args.tags],
        output=args.output,
        test=args.test,
        unlisted=args.unlisted,
        renamed=dict(map(_renamed, args.rename)),
        classes=args.classes,
        skip_missing=args.skip_missing,
        options=options,
    )
    written, report = import_dataset(request, args.workers)
    print(report, end="\n\n")
    try:
        about = args.output, written.first_split(), bool(written.tags_only)
    except UserError as error:
        lacks = f"{args.output} is complete, but a first study of it is impossible: {error}"
        if args.study is not None:
            raise UserError(f"--study {args.study}: not written. {lacks}") from None
        print(lacks)
        return
    print(printed_first_look(*about) if args.study is None else write_first_look(args.study, *about), end="")


def _renamed(text: str) -> tuple[str, str]:
    from simformer.data.class_names import normal

    old, _, new = map(normal, text.partition("="))
    if not old or not new:
        raise UserError(f"--rename {text}: expected OLD=NEW, e.g. tvmonitor=screen")
    return old, new


def _share(text: str) -> float:
    """Read a number from 0 to 1, for `type` of an option."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and up to 1, found '{text}'")
    return value


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this subcommand to the parser."""
    many = {"action": "append", "nargs": 2, "default": [], "metavar": FORMAT_PATH}
    command(
        commands, import_, path("images", "folder or zip archive of photographs"),
        ("--masks", {**many,
                     "help": "masks: ids, colours, voc, coco, cvat, label-studio or hugging-face, and where they "
                     "are; may be repeated; default: no masks"}),
        ("--tags", {**many, "help": "tags: voc, coco, open-images, label-studio, cvat, roboflow, hugging-face, csv or "
                    "folders, and where they are; may be repeated; default: no tags"}),
        ("--test", {"metavar": "LIST_OR_SHARE",
                    "help": "test images: a file with one name per line, or a share, e.g. 0.2; "
                    "default: the source's, else 0.2"}),
        ("--unlisted", {"choices": ("absent", "unknown"), "help": "what a class is in an image whose tags do not "
                        "name it; default: unknown for open-images, absent for all others"}),
        ("--classes", {"nargs": "+", "metavar": "NAME",
                       "help": "classes to keep, in the order of their ids; default: all"}),
        ("--rename", {"action": "append", "default": [], "metavar": "OLD=NEW",
                      "help": "new name of a class; may be repeated; default: none"}),
        path("names", "names of the ids in label maps: one per line, or `id,name`; default: the source's",
             required=False),
        path("colours", "colours of label maps: `name,red,green,blue`; default: the source's", required=False),
        ("--reduce-zero-label", {"action": "store_true",
                                 "help": "id 0 means that there is no class; names start at id 1"}),
        ("--mask-suffix", {"default": "", "metavar": "TEXT",
                           "help": "end of the label maps' names, e.g. _L; default: none"}),
        ("--column", {"metavar": "NAME",
                      "help": "column or key that holds the tags, or the path of the label map; "
                      "default: the format's own"}),
        ("--confidence", {"type": _share, "default": 0.9,
                          "help": "confidence from which a machine's label means that a class is present, 0 to 1"}),
        ("--skip-missing", {"action": "store_true", "help": "leave out images whose photograph is missing"}),
        path("study", "study to write, with the file of its dataset, e.g. config/mine.yaml; default: both are "
             "printed", required=False),
        WORKERS, OUTPUT_FOLDER,
    )  # fmt: skip
