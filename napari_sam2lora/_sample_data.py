"""napari sample data: synthetic images, generated without a download."""

from napari import current_viewer

from napari_sam2lora.layers.conversion import LayerData, fundus_layers
from napari_sam2lora.layers.masks import match_brushes_once_shown
from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.images.reading import FundusImage
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.targets import TARGETS


def healthy() -> list[LayerData]:
    """Draw a healthy fundus with its exact vessel, disc and cup."""
    return _draw("healthy fundus", 45, SyntheticSettings(view="macula", lesions=False))


def large_cup() -> list[LayerData]:
    """Draw a fundus with a large cup, as in glaucoma."""
    settings = SyntheticSettings(view="between", cup_to_disc=0.8, lesions=False)
    return _draw("fundus with a large cup", 12, settings)


def dark_with_lesions() -> list[LayerData]:
    """Draw a dark fundus with hemorrhages and exudates."""
    settings = SyntheticSettings(view="macula", brightness=0.5, lesions=True)
    return _draw("dark fundus with lesions", 18, settings)


def _draw(name: str, seed: int, settings: SyntheticSettings) -> list[LayerData]:
    fundus = draw_fundus(seed, settings)
    image = FundusImage(fundus.image, eye=fundus.eye, note=f"synthetic, seed {seed}")
    masks = {target: fundus.masks[target] for target in TARGETS}
    layers = fundus_layers(name, image, field_of_view_from_mask(fundus.masks["fov"]), masks)
    if (viewer := current_viewer()) is not None:
        match_brushes_once_shown(viewer, layers)
    return layers
