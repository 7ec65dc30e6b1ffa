"""Sample images, drawn on the spot: nothing is downloaded."""

from napari_sam2lora._layers import LayerData, fundus_layers
from sam2lora.field_of_view import field_of_view_from_mask
from sam2lora.images import FundusImage
from sam2lora.synthetic import draw_fundus
from sam2lora.targets import TARGETS

_SEED = 7  # as in `sam2lora demo`


def fundus() -> list[LayerData]:
    """Draw a fundus photograph with its exact vessel, disc and cup."""
    drawn = draw_fundus(_SEED)
    image = FundusImage(drawn.image, eye=drawn.eye, note="synthetic")
    masks = {target: drawn.masks[target] for target in TARGETS}
    return fundus_layers(
        "synthetic fundus", image, field_of_view_from_mask(drawn.masks["fov"]), masks
    )
