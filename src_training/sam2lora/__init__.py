"""SAM 2 adapted by LoRA for retinal fundus images: the headless half of napari-sam2lora.

Nothing here imports Qt or napari, and importing the package imports no torch.
"""

from importlib.metadata import version

__version__ = version("napari-sam2lora")
