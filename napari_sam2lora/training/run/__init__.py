"""A training in a process of its own: started, watched, stopped; no widgets."""
