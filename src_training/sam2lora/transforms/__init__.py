"""Geometry and augmentation: windows between native and network pixels, intensity, flips."""
