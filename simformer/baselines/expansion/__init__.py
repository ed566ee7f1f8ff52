"""Expansion of seeds: affinity and boundary networks, random walks."""
