"""CPN (Zhang et al. 2021): maps of two complementary views of an image."""
