"""COCO-Stuff-10K as published: photographs, MATLAB annotations, and the lists of the two subsets.

annotations/<name>.mat, images/<name>.jpg, imageLists/{train,test}.txt (9000 and 1000 names), in one archive

Two releases differ in file format and ids (`S` is the label map, `names` a cell array of class names):

v1.0  MATLAB 7.3, an HDF5 file, arrays transposed; 172 names; 1 = unlabelled, 2..172 the 171 classes in order
v1.1  MATLAB 5; 182 names; 0 = unlabelled, 1..182 COCO's raw ids

Source: github.com/nightrome/cocostuff10k; for v1.0 also MaskFormer's preparation of this dataset (S - 2 in uint8).
"""

from __future__ import annotations

import io
import math
from collections import Counter
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from simformer.data.archive import Tree, files_in, reading
from simformer.data.class_tables import IdTable, coco_stuff
from simformer.data.coco import raw_id_table
from simformer.data.coco_shapes import MOST_PIXELS, shown
from simformer.data.convert import Conversion, Member, pair
from simformer.data.layout import decode_names
from simformer.data.matlab5 import read_matlab5
from simformer.errors import UserError

HDF5_SIGNATURE, HDF5_OFFSETS = b"\x89HDF\r\n\x1a\n", (0, 512)
"""MATLAB puts a block of 512 bytes of its own before the HDF5 file."""

BROKEN_MAT = (
    OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
    MemoryError,
)  # fmt: skip
"""What the two readers of MATLAB files raise for broken ones."""

SCHEMES = {
    172: IdTable.make({2 + k: k for k in range(171)}, {1}, "2..172, or 1 for unlabelled, as in release v1.0"),
    182: raw_id_table(0, 0, "1..182, or 0 for unlabelled, as in release v1.1"),
}
"""Meaning of `S` by number of `names`."""


def coco_stuff_10k(tree: Tree) -> Conversion:
    """Find the listed images and annotations of COCO-Stuff-10K, v1.0 or v1.1.

    Raises:
        UserError: the tree has another layout.
    """
    lists, images = files_in(tree, "imageLists", ".txt"), files_in(tree, "images", ".jpg")
    annotations = files_in(tree, "annotations", ".mat")
    parts = {
        "images/*.jpg": images,
        "annotations/*.mat": annotations,
        "imageLists/train.txt": "train" in lists,
        "imageLists/test.txt": "test" in lists,
    }
    if not all(parts.values()):
        missing = ", ".join(part for part, found in parts.items() if not found)
        raise UserError(f"{tree.path}: missing {missing}; COCO-Stuff-10K has {', '.join(parts)}")
    train, test = (_listed(tree, lists[name]) for name in ("train", "test"))
    if both := sorted({*train} & {*test}):
        raise UserError(
            f"{tree.path}: {both[0]} is in both lists, imageLists/train.txt and test.txt ({len(both)} such names); "
            "keep each image in one of them"
        )
    pairs = pair(
        (train, test),
        {name: Member(0, file) for name, file in images.items()},
        {name: Member(0, file) for name, file in annotations.items()},
        (f"images/{{}}.jpg in {tree.path}", f"annotations/{{}}.mat in {tree.path}"),
    )
    return Conversion("coco_stuff_10k", (tree,), decode_mat, coco_stuff().names, *pairs)


def _listed(tree: Tree, name: str) -> list[str]:
    """Return the names of a list; UserError if it has none, or one of them twice."""
    with reading(tree.path):
        names = decode_names(tree.read(name), tree.where(name))
    if not names:
        raise UserError(f"{tree.where(name)}: no names; expected one image name per line")
    if twice := [image for image, count in Counter(names).items() if count > 1]:
        raise UserError(f"{tree.where(name)} lists {twice[0]} twice ({len(twice)} such names); keep one line of each")
    return names


def decode_mat(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode an annotation of either release.

    Args:
        data: content of the .mat file.
        where: the file, for messages.

    Returns: class ids and 255, uint8 [H, W].

    Raises:
        UserError: the file is broken, of neither release, or holds other ids.
    """
    hdf5 = any(data.startswith(HDF5_SIGNATURE, offset) for offset in HDF5_OFFSETS)
    try:
        values, names = _read_hdf5(data) if hdf5 else _read_matlab5(data)
    except BROKEN_MAT as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(
            f"{where}: not a readable MATLAB file with `S` and `names` ({reason}); copy or download it again"
        ) from error
    if names not in SCHEMES:
        raise UserError(f"{where}: {names} class names; expected 172 (release v1.0) or 182 (v1.1)")
    if values.ndim != 2 or not values.size or values.dtype.kind not in "uif":
        raise UserError(f"{where}: `S` is {values.dtype} {list(values.shape)}; expected a label map, uint8 [H, W]")
    if values.dtype != np.uint8 and not np.isin(values, np.arange(256)).all():
        raise UserError(f"{where}: `S` has values from {values.min()} to {values.max()}; expected whole numbers to 255")
    return SCHEMES[names].relabel(values.astype(np.uint8), where)


def _read_hdf5(data: bytes) -> tuple[NDArray[Any], int]:
    """Return `S` turned as MATLAB shows it, and the number of `names`."""
    with h5py.File(io.BytesIO(data), "r") as file:
        missing = [name for name in ("S", "names") if not isinstance(file.get(name), h5py.Dataset)]
        if missing:
            raise ValueError(f"no {' and no '.join(missing)}; it holds {shown(sorted(file))}")
        if file["S"].size > MOST_PIXELS:
            raise ValueError(f"`S` has the shape {list(file['S'].shape)}")
        return file["S"][()].T, int(file["names"].size)


def _read_matlab5(data: bytes) -> tuple[NDArray[Any], int]:
    """Return `S` and the number of `names`."""
    variables = read_matlab5(data)
    missing = [name for name in ("S", "names") if name not in variables]
    if missing:
        raise ValueError(f"no {' and no '.join(missing)}; it holds {shown(sorted(variables))}")
    if variables["S"].values is None:
        raise ValueError("`S` holds no real numbers")
    return variables["S"].values, math.prod(variables["names"].shape)
