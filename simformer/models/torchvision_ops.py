"""Import torchvision safely: the one place that does; take `torchvision` from here.

A CUDA build of torchvision cannot load its compiled extension beside a CPU build of PyTorch, and then fails
on import because it refers to two operators that nobody declared (pytorch/vision#9085). Only torchvision's
Python code is used here, so it is enough to declare them, without an implementation.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec

import torch

OPERATORS = ("nms", "qnms")

_declared: list[torch.library.Library] = []  # an operator vanishes with the library object that declared it


def declare_missing_ops() -> tuple[str, ...]:
    """Declare the operators that `import torchvision` needs and that its compiled extension cannot provide.

    The extension is loaded first, exactly as torchvision does (a second load of the same file is a no-op), so
    that an intact installation is never touched.

    Returns: names of the operators declared by this call; empty when all existed.
    """
    if not _missing():
        return ()
    _load_extension()
    missing = _missing()
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
    return missing


def _missing() -> tuple[str, ...]:
    return tuple(name for name in OPERATORS if not hasattr(torch.ops.torchvision, name))


def _load_extension() -> None:
    package = find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return
    extension = PathFinder.find_spec("_C", list(package.submodule_search_locations))
    if extension is None or extension.origin is None:
        return
    try:
        torch.ops.load_library(extension.origin)
    except OSError:  # e.g. a CUDA library is absent: what declare_missing_ops is for
        return


declare_missing_ops()

import torchvision  # noqa: E402

__all__ = ["OPERATORS", "declare_missing_ops", "torchvision"]
