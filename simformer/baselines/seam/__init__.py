"""SEAM (Wang et al. 2020): equivariant attention from image-level labels."""
