"""Tables and their statistics."""
