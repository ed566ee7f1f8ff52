"""Any dataset: imports a folder, tar or zip that is already in the prepared layout (docs/custom_data.md)."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from simformer.atomic import kind_of
from simformer.data.archive import link, unpack
from simformer.data.layout import (
    EXPECTED,
    FOLDERS,
    IMAGES,
    LABEL_SUFFIXES,
    LABELS,
    PIECES,
    SUFFIXES,
    TAGS,
    TEST,
    TRAIN,
    missing_pieces,
    read_names,
)
from simformer.data.named_files import NamedFiles
from simformer.data.staging import staged_layout
from simformer.errors import UserError, describe_problems

VOC_LISTS = "ImageSets/Segmentation"
"""Where PASCAL VOC has its lists of images with label maps."""


def import_folder(source: Path, destination: Path) -> None:
    """Bring a dataset in the prepared layout to its place; pictures are hard-linked where possible, lists copied.

    Args:
        source: a folder, or a tar (plain or compressed) or zip archive, that holds the layout at its top or
            inside one top folder.
        destination: the dataset's root; an earlier import is replaced once the new one is complete.

    Raises:
        UserError: the source is missing, is neither folder nor archive, lacks a part of the layout, is
            damaged, or holds an unsafe member (absolute path, `..`, link, device).
    """
    kind = kind_of(source)
    if kind not in (None, "a folder"):
        found = "dataset source not found" if kind == "nothing" else kind
        raise UserError(f"{source}: {found}; expected a folder, tar or zip with {EXPECTED}")
    with staged_layout(destination) as staging:
        folder = source
        if not source.is_dir():
            folder = staging / "unpacked"
            unpack(source, folder)
        root = _find_root(folder, source)
        if root.resolve() == destination.resolve():
            raise UserError(f"{source}: source and destination are the same folder; name another source")
        for path in _pictures(root, source):
            link(path, staging / path.relative_to(root))
        tags = (TAGS,) if (root / TAGS).exists() else ()
        for piece in (*PIECES, *tags):
            if piece not in FOLDERS:  # copied: Snakemake sets the time of these, which would be that of the source too
                shutil.copyfile(root / piece, staging / piece)


def _pictures(root: Path, source: Path) -> list[Path]:
    """Return the images and label maps of a layout; UserError if something else is where one is listed."""
    names = set(read_names(root / TRAIN) + read_names(root / TEST))
    paths = [
        path
        for folder, endings, what in ((IMAGES, SUFFIXES, "image"), (LABELS, LABEL_SUFFIXES, "label map"))
        for path in NamedFiles(root / folder, endings, what).candidates(names)
    ]
    others = {path: kind for path in paths if (kind := kind_of(path)) is not None}
    if others:
        problems = [f"{path}: {kind}; expected a file, since a list names it" for path, kind in others.items()]
        raise UserError(describe_problems(source, problems))
    return paths


def _find_root(folder: Path, source: Path) -> Path:
    """Return the folder itself or its only subfolder that holds the whole layout."""
    if not missing_pieces(folder):
        return folder
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir())
    complete = [path for path in subfolders if not missing_pieces(path)]
    if len(complete) == 1:
        return complete[0]
    if complete:
        names = ", ".join(path.name for path in complete)
        raise UserError(f"{source}: several datasets found ({names}); name one of them as the source")
    nearest = min([folder, *subfolders], key=lambda path: len(missing_pieces(path)))
    inside = "" if nearest == folder else f" (in its folder {nearest.name}/)"
    voc = next((path for path in (folder, *subfolders, *folder.glob("*/*")) if (path / VOC_LISTS).is_dir()), None)
    hint = ""
    if voc is not None:
        words = [
            "simformer",
            "import",
            "--images",
            f"{voc}/JPEGImages",
            "--masks",
            "voc",
            str(voc),
            "--output",
            "mydata",
        ]
        hint = f". {voc} is laid out as PASCAL VOC; type: {shlex.join(words)} (docs/formats.md)"
    raise UserError(
        f"{source}: missing {', '.join(missing_pieces(nearest))}{inside}; expected {EXPECTED} at the top "
        f"or inside one top folder{hint}"
    )
