"""Devices, precision and memory: where and how a network computes."""
