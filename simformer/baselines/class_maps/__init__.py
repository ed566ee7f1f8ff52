"""Class maps: activation maps, their files, refinement, seeds."""
