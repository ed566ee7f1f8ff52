"""Text as it is read and written: JSON, YAML, names of one line, what is wrong with a value."""
