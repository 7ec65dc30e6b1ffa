"""Prompts: as a user gives them, as tensors, and as they are sampled for training."""
