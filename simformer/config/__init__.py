"""Configuration: layers of files, typed settings, sources of datasets, paths."""
