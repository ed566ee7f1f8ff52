"""RETAB* (Zhou et al. 2021), adapted to weak-shot segmentation by pixels: boundaries, affinities, two-stage walk."""
