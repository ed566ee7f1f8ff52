"""From any source of a dataset to the prepared layout: which importer does it, and from which files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from simformer.atomic import say
from simformer.config.paths import expand_path
from simformer.config.sources import (
    Ade20kSource,
    CocoJsonSource,
    CocoStuff10kSource,
    CocoStuffMapsSource,
    FolderSource,
    ScenesSource,
    Source,
    archives,
)
from simformer.data.archive import Tree, open_tree
from simformer.data.convert import convert
from simformer.data.finished import is_finished, note_finished, origin
from simformer.data.folder import import_folder
from simformer.data.layout import FINISHED
from simformer.data.scenes import generate_scenes
from simformer.data.staging import real_place, refuse_foreign, refuse_nesting
from simformer.errors import UserError
from simformer.machine.run_lock import lock

# Readers of published datasets are imported where they are used: scenes need neither h5py, pycocotools nor requests.


def prepare(source: Source, fetched: Mapping[str, Path], destination: Path, workers: int) -> None:
    """Bring a dataset into the prepared layout (`simformer.data.layout`).

    Args:
        source: what it is made from.
        fetched: downloaded archives by name (`simformer.config.sources.archives`); an archive's own `path` wins.
        destination: the dataset's root.
        workers: processes that convert a published dataset; scenes and folders need one.

    Raises:
        UserError: an archive is neither downloaded nor given, is not the published file, or its content is not as
            expected.
    """
    trees = _open(source, fetched)
    place = real_place(destination)
    paths = [tree.path for tree in trees.values()]
    if isinstance(source, FolderSource):
        paths.append(expand_path(source.path, "source.path"))
    refuse_nesting(place, paths)
    made_from = origin(source, trees.values())
    with _one_process(place):
        if is_finished(place, made_from):
            say(f"{destination}: already prepared from this source; nothing to do")
            return
        replaced = (place / FINISHED).exists()
        refuse_foreign(place)
        _import(source, trees, destination, workers)
        if replaced:
            say(f"{destination}: the dataset that was there is replaced: its source or its files have changed")
        note_finished(place, source, made_from, paths)


def _import(source: Source, trees: Mapping[str, Tree], destination: Path, workers: int) -> None:
    """Call the importer of a source."""
    images = [tree for name, tree in trees.items() if name.startswith("images")]
    annotations = [tree for name, tree in trees.items() if name.startswith("annotations")]
    match source:
        case ScenesSource():
            generate_scenes(destination, source, workers)
        case FolderSource():
            import_folder(expand_path(source.path, "source.path"), destination)
        case CocoStuff10kSource():
            from simformer.data.coco_stuff_10k import coco_stuff_10k

            convert(coco_stuff_10k(trees["archive"]), destination, workers)
        case CocoStuffMapsSource():
            from simformer.data.coco_stuff_maps import coco_stuff_maps

            convert(coco_stuff_maps(trees["labels"], images, source.subset), destination, workers)
        case CocoJsonSource():
            from simformer.data.coco_json import coco_json

            convert(coco_json(annotations, images, source.subset), destination, workers)
        case Ade20kSource():
            from simformer.data.ade20k import ade20k

            convert(ade20k(trees["archive"]), destination, workers)


@contextmanager
def _one_process(place: Path) -> Iterator[None]:
    """Let no other process prepare the same dataset meanwhile; folders made for its lock go again if it fails."""
    made = [path for path in place.parents if not path.exists()]
    beside = made or os.access(place.parent, os.W_OK)
    path = place.with_name(f".{place.name}.lock") if beside else place / ".lock"
    try:
        with lock(path, f"{place} is being prepared"):
            yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _open(source: Source, fetched: Mapping[str, Path]) -> dict[str, Tree]:
    """Open the archives behind a source, by name."""
    trees = {}
    for name, archive in archives(source).items():
        if archive.path is not None:
            path = expand_path(archive.path, f"source.{name}.path")
        elif name in fetched:
            from simformer.data.fetch import check_file

            path = fetched[name]
            check_file(archive, path)
        else:
            raise UserError(
                f"archive '{name}': neither downloaded nor given; give it with --archive {name}=FILE, or set "
                "its `path` in the dataset's file"
            )
        trees[name] = open_tree(path)
    return trees
