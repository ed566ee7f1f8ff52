"""The machine: devices, processes, locks, memory, signals, Slurm, the terminal."""
