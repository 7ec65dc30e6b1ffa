"""Metrics of a mask and over images."""
