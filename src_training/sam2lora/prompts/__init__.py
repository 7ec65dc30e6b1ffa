"""Prompts of users, their tensors, and prompts sampled for training and evaluation."""
