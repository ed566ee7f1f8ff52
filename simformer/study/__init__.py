"""The study around the method: its files, its catalogue of runs, plan, cost and status."""
