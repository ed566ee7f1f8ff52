"""Weak-shot semantic segmentation by dual similarity transfer (SimFormer, NeurIPS 2022)."""

__version__ = "0.1.0"
