"""Checks of a machine: can it run a study, and if not, what to type."""
