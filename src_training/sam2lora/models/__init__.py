"""Base models: registry, weights, and SAM 2's network for images, built and loaded."""
