"""Device, precision and memory of computations."""
