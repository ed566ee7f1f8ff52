"""Weak-shot semantic segmentation by dual similarity transfer (SimFormer, NeurIPS 2022)."""

import os
import sys

__version__ = "0.1.0"

if sys.platform == "darwin":  # PyTorch reads it when it is imported: operations that MPS lacks run on the CPU
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
