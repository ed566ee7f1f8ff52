"""What the acceptance needs of a Python, and what makes it tell more. It must import nothing else of the project."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

NEEDS = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "safetensors": "safetensors",
    "tqdm": "tqdm",
    "pydantic": "pydantic",
}
"""Module -> package as pip names it."""
PEERS = ("transformers", "torchmetrics")
"""Packages whose programs are measured beside ours where they are there."""


def require() -> None:
    """End this program with one line if a package is missing."""
    missing = [package for module, package in NEEDS.items() if importlib.util.find_spec(module) is None]
    if missing:
        names = " ".join(missing)
        sys.exit(
            f"error: this Python ({sys.executable}) lacks {names}; type `{sys.executable} -m pip install {names}`, or "
            "see docs/hpc.md for a machine without internet"
        )


def why_not_compiled(on_card: bool) -> str | None:
    """Return why nothing can be compiled here, None if it can."""
    if not on_card:
        return "compiled networks are measured on a card only"
    if importlib.util.find_spec("triton") is None:
        return "torch.compile needs the package triton, which is not installed here"
    if not any(shutil.which(name) for name in (os.environ.get("CC", ""), "gcc", "cc", "clang") if name):
        return "torch.compile needs a C compiler, and there is none on PATH"
    return None
