"""The Evaluate dock: masks against a reference, in numbers and as a map of errors."""
