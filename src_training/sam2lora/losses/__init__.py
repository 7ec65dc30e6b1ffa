"""Losses of logits against masks, and the composite loss of SAM2LoRA."""
