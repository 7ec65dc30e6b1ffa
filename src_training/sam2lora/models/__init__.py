"""Base models: their registry, weights, and SAM 2's image part, built and loaded."""
