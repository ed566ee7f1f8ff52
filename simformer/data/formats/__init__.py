"""Formats of other tools, read into the folder layout of docs/custom_data.md: one file per format, one writer."""
