"""Metrics of a mask and over images, and measurements of disc, cup and vessels."""
