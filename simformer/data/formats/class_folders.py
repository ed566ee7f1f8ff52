"""Folders per class: `<class>/<image>`, or `{train,val,test}/<class>/<image>`, as in torchvision's ImageFolder.

A photograph that lies in several class folders, under one name and with the same content, shows all these classes.
Files of one name and different content are different photographs.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict

from simformer.data.archive import Tree, is_hidden
from simformer.data.formats.annotations import SUBSET_WORDS, Annotations, Options, Subset
from simformer.data.formats.text_files import read_bytes
from simformer.data.layout import SUFFIXES, unread_pictures
from simformer.errors import UserError, some

SHOWN = 5
"""Photographs that a note names."""


def tags(tree: Tree, options: Options) -> Annotations:
    """Read the folders' names as the one class of the images in them; UserError if there are no such folders."""
    found = Annotations(str(tree.path))
    classes: dict[str, str] = {}
    for name in tree.names():
        parts = name.split("/")
        if not name.lower().endswith(SUFFIXES) or is_hidden(name):
            continue
        subset = SUBSET_WORDS.get(parts[0].lower()) if len(parts) > 2 else None
        folders = parts[1:-1] if subset else parts[:-1]
        if len(folders) != 1:
            found.problems.append(
                f"{tree.where(name)}: {len(folders)} folders around this image; expected one, its class, below "
                f"{tree.path}"
            )
            continue
        if folders[0] not in found.classes:
            found.classes.append(folders[0])
        classes[name] = folders[0]
        if subset:
            found.subsets[name] = subset
    if not found.classes:
        raise UserError(f"{tree.path}: no folders with images; expected <class>/<image>")
    found.copies |= _copies(tree, found, list(classes))
    for name, label in classes.items():
        found.tag(found.copies.get(name, name), label, True)
    if found.copies:
        firsts = list(dict.fromkeys(found.copies.values()))
        found.notes.append(
            f"{tree.path}: {len(firsts)} photographs lie in several class folders, and show all these classes: "
            f"{some(firsts, SHOWN)}"
        )
    if unread := unread_pictures(name for name in tree.names() if not is_hidden(name)):
        found.notes.append(f"{tree.path}: {unread}")
    return found


def _copies(tree: Tree, found: Annotations, names: list[str]) -> dict[str, str]:
    """Return the first file of each photograph by the others that have its content, its subset and its name.

    Files that share only subset and name are noted in `found.differ`.
    """
    alike: dict[tuple[Subset | None, str], list[str]] = defaultdict(list)
    for name in names:
        alike[found.subsets.get(name), os.path.splitext(name.rpartition("/")[2])[0]].append(name)
    copies: dict[str, str] = {}
    for group in alike.values():
        first: dict[bytes, str] = {}
        for name in group if len(group) > 1 else ():
            original = first.setdefault(hashlib.sha256(read_bytes(tree, name)).digest(), name)
            if original != name:
                copies[name] = original
        if len(first) > 1:
            found.differ.update(first.values())
    return copies
