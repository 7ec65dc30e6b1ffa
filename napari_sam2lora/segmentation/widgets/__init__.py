"""Widgets of the Segment dock; none knows the session or the viewer."""
