"""One subcommand per pipeline stage: each parses, calls one library function, and does nothing else."""
