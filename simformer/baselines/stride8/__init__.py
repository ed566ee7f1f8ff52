"""The networks of stride 8 that SEAM and CPN share."""
