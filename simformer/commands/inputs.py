"""What an option names, read just before its command runs: pass one of these as `read` of an option.

Their imports stay inside, since some are heavy (torch): `--help` and the stages of data start fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from simformer.baselines.class_maps.map_files import MapSet
    from simformer.data.index import DatasetIndex
    from simformer.data.labels import LabelSet
    from simformer.data.splits import Split


def new_file(file: Path) -> Path:
    """Return the name of a file to write; before the work begins, refuse a folder, and a place that takes no file."""
    from simformer.atomic import refuse_folder, refuse_unwritable

    refuse_folder(file)
    refuse_unwritable(file.parent)
    return file


def label_set(file: Path) -> LabelSet:
    """Read a label set."""
    from simformer.data.labels import LabelSet

    return LabelSet.load(file)


def map_set(file: Path) -> MapSet:
    """Read the manifest of class maps."""
    from simformer.baselines.class_maps.map_files import MapSet

    return MapSet.load(file)


def dataset_index(file: Path) -> DatasetIndex:
    """Read the index of a dataset."""
    from simformer.data.index import DatasetIndex

    return DatasetIndex.load(file)


def base_novel_split(file: Path) -> Split:
    """Read a split."""
    from simformer.data.splits import Split

    return Split.load(file)


def take_device(name: str) -> torch.device:
    """Take a device until the process ends."""
    from simformer.machine.devices import choose_device

    return choose_device(name)


def use_threads(count: int = 1) -> int:
    """Set the number of PyTorch's threads and return it.

    The default is for the maps of one image: they are small, and more threads cost more than they bring.
    """
    import torch

    torch.set_num_threads(count)
    return count
