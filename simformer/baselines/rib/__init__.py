"""RIB: maps of one image summed along a fine-tuning of the classifier on that image, without a final sigmoid."""
