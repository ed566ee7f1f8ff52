"""Losses of the paper (Eq. 1-5): matching, classification, mask, similarity, complementary, total."""
