"""What lists say of an adapter."""

from sam2lora.adapters import AdapterCard


def dice_of(card: AdapterCard) -> str:
    """Say its validation Dice, beside that of what it started from on the same images.

    The Dice of two adapters are of different images, as a rule, and cannot be compared.

    Returns
    -------
    As `Dice 0.842 (before 0.713)`; empty where it is not known.
    """
    dice, before = (card.validation.get(name) for name in ("dice", "start_dice"))
    if not isinstance(dice, float):
        return ""
    return f"Dice {dice:.3f}" + (f" (before {before:.3f})" if isinstance(before, float) else "")
