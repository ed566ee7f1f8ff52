"""Checks of a machine: is it fit for a study, and if not, what to type."""
