"""Plain stride-8 classifiers: the start of SEAM and CPN, and the control that trains on with the same loss."""
