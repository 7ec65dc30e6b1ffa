"""Losses: functions of logits and masks, and the composite loss of SAM2LoRA."""
