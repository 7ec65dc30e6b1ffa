"""Prediction: from an image and prompts to probabilities and masks; begin with `pipeline`."""
