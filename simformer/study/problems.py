"""Problems of a study that can be found before anything is made: its splits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from simformer.config.paths import expand_path
from simformer.config.sources import Ade20kSource, FolderSource, ScenesSource, Source
from simformer.data.class_tables import ade20k, coco_stuff
from simformer.data.index import DatasetIndex
from simformer.data.layout import CLASSES, read_classes, read_tags_only
from simformer.data.splits import DatasetLacks, make_split
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.files import SplitSpec

ALL_MASKS = ("full", "crop")
"""Labels of methods that are made from the masks of all classes."""


def split_problems(catalogue: Catalogue) -> dict[tuple[str, int], str]:
    """Resolve every split, as far as its pinned file, the classes and the index of its dataset are there.

    Returns: what is wrong, in a line, by dataset and number of the split.
    """
    problems = {}
    for dataset, mine in catalogue.study.datasets.items():
        folder = Path(catalogue.study.data, dataset)
        prepared, index = (folder / CLASSES).exists(), _index(folder)
        seen: dict[object, list[int]] = {}
        for number in mine.splits:
            where = f"{catalogue.source}: datasets.{dataset}.splits.{number}"
            try:
                novel = _resolve(catalogue, dataset, number, folder if prepared else None, index)
            except UserError as error:
                told = str(error).removeprefix("split: ")
                hint = ""
                if prepared and isinstance(error, DatasetLacks):
                    hint = f" (by {folder / CLASSES}; if its source has changed, remove {folder} to prepare it again)"
                problems[dataset, number] = f"{where}: {told}{hint}"
                continue
            for other in seen.setdefault(novel, []):
                if _in_one_table(mine.splits[other], mine.splits[number]):
                    problems[dataset, number] = (
                        f"{where}: the same novel classes as those of split {other}, which would count twice; change "
                        "one of the two, or remove it"
                    )
                    break
            seen[novel].append(number)
    return problems


def _in_one_table(first: SplitSpec, second: SplitSpec) -> bool:
    """Return whether two splits may belong to the same table."""
    return first.only is None or second.only is None or not set(first.only).isdisjoint(second.only)


def _index(folder: Path) -> DatasetIndex | None:
    """Return the index of a dataset; None if there is none that can be read, which Snakemake makes again."""
    try:
        return DatasetIndex.load(folder / "index.json")
    except UserError:
        return None


def _resolve(
    catalogue: Catalogue, dataset: str, number: int, folder: Path | None, index: DatasetIndex | None
) -> object:
    """Return what tells the novel classes of a split from those of another; raises UserError as `make_split`."""
    name = f"split{number}"
    spec = json.loads(catalogue.split_json(dataset, name))
    if folder is not None:
        split = make_split(read_classes(folder), spec)
        split.refuse_maskless(read_tags_only(folder))
        if index is not None and index.classes == split.classes:
            split.refuse_unseen(record.labels for record in index.train)
        return split.novel
    if spec["file"] and not Path(spec["file"]).exists():
        return spec["file"]
    if classes := _announced(catalogue.datasets[dataset].source):
        return make_split(classes, spec).novel
    return json.dumps(catalogue.novel(dataset, name))


def _announced(source: Source) -> tuple[str, ...] | None:
    """Return the classes of a dataset that is not prepared yet; None if only its archive says them."""
    match source:
        case ScenesSource():
            from simformer.data.scenes import CLASS_NAMES  # here: it draws, and most studies have no scenes

            return CLASS_NAMES
        case FolderSource(path=path):
            try:
                folder = expand_path(path, "source.path")
            except UserError:  # a variable that is not set, of which the doctor tells
                return None
            return read_classes(folder) if (folder / CLASSES).is_file() else None
        case Ade20kSource():
            return ade20k().names
        case _:
            return coco_stuff().names


def absent_masks(catalogue: Catalogue, experiments: Iterable[str]) -> Iterator[str]:
    """Yield a line for each experiment that needs every mask of a prepared dataset in which some classes have none."""
    lacking = {name: _without_masks(Path(catalogue.study.data, name)) for name in catalogue.study.datasets}
    for name in experiments:
        experiment = catalogue.experiment(name)
        all_masks = [m for m in experiment.methods if catalogue.method(m).labels in ALL_MASKS]
        asks = f"rows {', '.join(all_masks)}" if all_masks else f"measure {experiment.measure}"
        for dataset in dict.fromkeys(cell[0] for cell in catalogue.cells(name)):
            if lacking[dataset] and (all_masks or experiment.measure != "iou"):
                yield (
                    f"experiment '{name}': {asks}: every mask of {dataset} is needed, but there are none of "
                    f"{lacking[dataset]} (tags_only of its {CLASSES}); name an experiment that does without, e.g. "
                    "experiments: [tags]"
                )


def _without_masks(folder: Path) -> str:
    """Return the classes of a dataset that have no masks, for messages; empty if it is not prepared, or all have."""
    if not (folder / CLASSES).exists():
        return ""
    classes = read_classes(folder)
    return ", ".join(f"'{classes[k]}'" for k in read_tags_only(folder))


def unwritable_folders(catalogue: Catalogue) -> Iterator[str]:
    """Yield a line for each folder of the study that jobs write to and that this user may not write to.

    A folder of data may be read-only once all datasets are prepared.
    """
    study = catalogue.study
    prepared = all(Path(study.data, name, "index.json").exists() for name in study.datasets)
    for key, folder in ({"results": study.results} | ({} if prepared else {"data": study.data})).items():
        place = next(place for place in (Path(folder), *Path(folder).absolute().parents) if place.is_dir())
        if not os.access(place, os.W_OK | os.X_OK):
            yield (
                f"{catalogue.source}: {key}: {place} cannot be written; change its permissions, or name another folder "
                f"in `{key}`"
            )
