"""Weakly supervised baselines of Table 1: class activation maps, their expansion, and mixed labels made from them."""
