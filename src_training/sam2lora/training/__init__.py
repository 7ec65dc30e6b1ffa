"""Training of SAM2LoRA adapters, and of base models, by one loop.

Nothing is imported here, so that the settings can be read without torch.
"""
