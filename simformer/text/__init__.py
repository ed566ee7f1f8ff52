"""Reading and writing text: JSON, YAML, names of one line, and what is wrong with a value."""
