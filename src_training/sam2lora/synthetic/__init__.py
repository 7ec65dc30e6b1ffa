"""Draw a fundus photograph that never was, with exact masks of what is in it.

One seed and one set of settings always give the same bytes. Nothing in it comes from a real image:
the proportions are those of textbooks, and the looks those of several common cameras. Only
`resize_cup` is for real images too: it changes the cup in one.
"""

from sam2lora.synthetic.cup_resizing import resize_cup
from sam2lora.synthetic.fundus import SyntheticFundus, draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings

__all__ = ["SyntheticFundus", "SyntheticSettings", "draw_fundus", "resize_cup"]
