"""Weak-shot semantic segmentation by dual similarity transfer (SimFormer, NeurIPS 2022)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

if sys.platform == "darwin":  # PyTorch reads it when it is imported: operations that MPS lacks run on the CPU
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


if TYPE_CHECKING:  # type checkers would take any name for one that __getattr__ gives
    from simformer.predict.segmenter import load
else:

    def __getattr__(name: str) -> Any:
        """Import `load` when it is first asked for, since PyTorch comes with it."""
        if name != "load":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from simformer.predict.segmenter import load

        return load
