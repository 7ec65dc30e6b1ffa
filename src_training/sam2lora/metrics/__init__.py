"""Metrics: of one mask, aggregated over images, and measurements of disc, cup and vessels."""
