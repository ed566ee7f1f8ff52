"""CONTA (Zhang et al. 2020): context adjustment for classifiers of image-level labels, in rounds on top of IRN."""
