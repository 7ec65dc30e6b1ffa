"""The Evaluate dock: masks scored against a reference, with an error map."""
