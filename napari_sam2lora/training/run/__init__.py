"""A training in its own process: start, follow, pause and stop it; no widgets."""
