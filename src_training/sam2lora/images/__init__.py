"""Fundus images as arrays: reading, decoding, the field of view, views and overlays."""
