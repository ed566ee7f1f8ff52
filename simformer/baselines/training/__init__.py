"""Training of the baselines' networks."""
