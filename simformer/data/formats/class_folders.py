"""Folders per class: `<class>/<image>`, or `{train,val,test}/<class>/<image>`, as in torchvision's ImageFolder."""

from __future__ import annotations

from simformer.data.archive import Tree, is_hidden
from simformer.data.formats.annotations import SUBSET_WORDS, Annotations, Options
from simformer.data.layout import SUFFIXES
from simformer.errors import UserError


def tags(tree: Tree, options: Options) -> Annotations:
    """Read the folders' names as the one class of the images in them; UserError if there are no such folders."""
    found = Annotations(str(tree.path))
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
        found.tag(name, folders[0], True)
        if subset:
            found.subsets[name] = subset
    if not found.classes:
        raise UserError(f"{tree.path}: no folders with images; expected <class>/<image>")
    return found
