"""Prediction: from an image and prompts to probabilities and masks; `pipeline` is the way in."""
