"""What a training needs besides its step: objective, schedule, saved states, log, processes, provenance."""
