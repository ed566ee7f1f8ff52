"""A trained model in use: on photographs, in Python, in other programs (docs/predict.md)."""
