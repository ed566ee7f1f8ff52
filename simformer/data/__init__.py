"""Data: from raw datasets to the targets of one training step."""
