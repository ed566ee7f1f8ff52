"""What a training needs beside its step: objective, schedule, saved states, log, processes, provenance."""
