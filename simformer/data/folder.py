"""Any dataset: imports a folder, tar or zip that is already in the prepared layout (docs/custom_data.md)."""

from __future__ import annotations

from pathlib import Path

from simformer.data.archive import link, unpack
from simformer.data.layout import EXPECTED, FOLDERS, PIECES, SUFFIXES, missing_pieces
from simformer.data.staging import staged_layout
from simformer.errors import UserError


def import_folder(source: Path, destination: Path) -> None:
    """Bring a dataset in the prepared layout to its place; files are hard-linked where possible, else copied.

    Args:
        source: a folder, or a tar (plain or compressed) or zip archive, that holds the layout at its top or
            inside one top folder.
        destination: the dataset's root; an earlier import is replaced once the new one is complete.

    Raises:
        UserError: the source is missing, is neither folder nor archive, lacks a part of the layout, is
            damaged, or holds an unsafe member (absolute path, `..`, link, device).
    """
    if not source.exists():
        raise UserError(f"{source}: dataset source not found; expected a folder, tar or zip with {EXPECTED}")
    with staged_layout(destination) as staging:
        folder = source
        if not source.is_dir():
            folder = staging / "unpacked"
            unpack(source, folder)
        root = _find_root(folder, source)
        if root.resolve() == destination.resolve():
            raise UserError(f"{source}: source and destination are the same folder; name another source")
        for piece in PIECES:
            if piece in FOLDERS:
                for path in sorted((root / piece).iterdir()):
                    if path.suffix in SUFFIXES and path.is_file() and not path.name.startswith("."):
                        link(path, staging / piece / path.name)
            else:
                link(root / piece, staging / piece)


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
    raise UserError(
        f"{source}: missing {', '.join(missing_pieces(nearest))}{inside}; expected {EXPECTED} at the top "
        "or inside one top folder"
    )
