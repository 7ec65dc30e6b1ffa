"""Draw synthetic fundus images with exact masks of their structures.

One seed and one set of settings always give the same bytes. Nothing comes from a real image: the
proportions are those of textbooks, the appearance that of several common cameras. Only
`resize_cup` is for real images too: it changes the size of the cup.
"""

from sam2lora.synthetic.cup_resizing import resize_cup
from sam2lora.synthetic.fundus import SyntheticFundus, draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings

__all__ = ["SyntheticFundus", "SyntheticSettings", "draw_fundus", "resize_cup"]
