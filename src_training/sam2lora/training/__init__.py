"""Training: SAM2LoRA's adapters, and the base itself, by one loop.

Nothing is imported here, so that the settings can be read without torch.
"""
