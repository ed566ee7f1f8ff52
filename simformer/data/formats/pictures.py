"""Label maps as pictures alone: a folder or zip archive of PNG files, each named after its image.

`ids`       values are ids, of one 8-bit channel or a palette; their names: --names
`colours`   colours are classes; their names: --colours
"""

from __future__ import annotations

import os

from simformer.data.archive import Tree, is_hidden
from simformer.data.convert import Member
from simformer.data.formats.annotations import Annotations, Options, subset_of_folder
from simformer.data.formats.id_pictures import ranges
from simformer.data.formats.names import picture_maker
from simformer.data.layout import LABEL_SUFFIXES, OTHER_PICTURES, SUFFIXES, unread_pictures
from simformer.errors import UserError

OTHER_LABELS = tuple(ending for ending in (*SUFFIXES, *OTHER_PICTURES) if ending not in LABEL_SUFFIXES)


def pictures(tree: Tree, options: Options) -> Annotations:
    """Find the label maps of a tree; their reference is their path without ending and suffix.

    Raises:
        UserError: there is none, or their values have no names.
    """
    make, names = picture_maker(options)
    found = Annotations(str(tree.path), classes=list(dict.fromkeys(name for name in names.values() if name)))
    if unnamed := [value for value, name in sorted(names.items()) if name is None and options.names]:
        found.notes.append(f"{options.names}: ids without a name mean no class: {ranges(unnamed)}")
    others: list[str] = []
    for file in tree.names():
        stem, ending = os.path.splitext(file)
        if is_hidden(file) or ending.lower() not in LABEL_SUFFIXES:
            others.append(file)
            continue
        if not stem.endswith(options.mask_suffix):
            continue  # Cityscapes has several pictures per image in one folder
        reference = stem.removesuffix(options.mask_suffix)
        found.draw(reference, make(tree.where(file), Member(0, file)))
        if subset := subset_of_folder(file):
            found.subsets[reference] = subset
    if not found.masks:
        suffix = f" whose names end with '{options.mask_suffix}'" if options.mask_suffix else ""
        there = f"; there is '{others[0]}'" if others else ""
        raise UserError(f"{tree.path}: no label maps; expected PNG files{suffix}{there}")
    if unread := unread_pictures(others, OTHER_LABELS, "PNG, which keeps ids and colours exactly"):
        found.notes.append(f"{tree.path}: {unread}")
    return found
