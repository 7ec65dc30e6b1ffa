"""Photographs in the viewer with labels that could be trained on.

They are proposed by what the layers' metadata, names and sizes say; what is wrong with a pair is
said in words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora._chosen import data_of, photographs
from napari_sam2lora._layers import key_of, mask_of, noted, target_of
from napari_sam2lora._pairing import AREA, image_of, size_of_layer
from napari_sam2lora.training.area import area_of_image
from napari_sam2lora.training.pairs import Doubt, Pair, real_path
from sam2lora.datasets.check import looks_inverted
from sam2lora.datasets.records import patient_from_name
from sam2lora.errors import ImageError, TargetError

_PREVIEW = "preview"  # the view of a layer that shows an answer


@dataclass(frozen=True, eq=False)
class LayerPair(Pair):
    """A photograph in the viewer and a Labels layer."""

    image: Image
    layer: Labels | None
    area: Layer | None = None


def pairs_in_viewer(viewer: Viewer, target: str) -> list[LayerPair]:
    """Pair each photograph in the viewer with its labels of a target, as far as it has any.

    A photograph without is listed too, with the reason.
    """
    images = photographs(viewer.layers)
    layers = [layer for layer in viewer.layers if isinstance(layer, Labels) and _may_be_mask(layer)]
    about = [(layer, image_of(layer, images)) for layer in layers]
    return [
        pair
        for image in images
        for pair in _pairs_of(viewer, image, [one for one, its in about if its is image], target)
    ]


def _pairs_of(
    viewer: Viewer, image: Image, found: Sequence[Labels], target: str
) -> Iterator[LayerPair]:
    area = area_of_image(viewer.layers, image)
    shown = [layer for layer in found if _shows(layer) == target]
    for layer in shown:
        twice = len([one for one in shown if not _is_preview(one)]) > 1 and not _is_preview(layer)
        doubt = _doubt_of_layer(image, layer, target)
        if twice and doubt is None:
            doubt = Doubt(f"Several layers show {target} in this image. Tick one of them.")
        yield _layer_pair(image, layer, area, doubt)
    if not shown:
        others = [_shows(layer) or layer.name for layer in found if not _is_preview(layer)]
        words = f"There are no labels of {target}. Let the name of a Labels layer end in {target}."
        if others:
            words = f"There are labels of {', '.join(dict.fromkeys(others))}, but not of {target}."
        yield _layer_pair(image, None, area, Doubt(words, refused=True))


def _layer_pair(
    image: Image, layer: Labels | None, area: Layer | None, doubt: Doubt | None
) -> LayerPair:
    about, key = noted(image.metadata), key_of(data_of(image))
    if about.get("patient"):
        patient = f"{about['dataset']} {about['patient']}"
    else:
        patient = patient_from_name(image.name)
    return LayerPair(
        key=key if layer is None else f"{key}|{layer.name}",
        name=image.name,
        labels="none" if layer is None else layer.name,
        patient=patient,
        proposed=doubt is None,
        doubt=doubt,
        file=real_path(about.get("path")),
        image=image,
        layer=layer,
        area=area,
    )


def _may_be_mask(layer: Labels) -> bool:
    """Tell views apart, such as maps of errors; a preview is kept, to say why it is refused."""
    return noted(layer.metadata).get("view") in (None, _PREVIEW) and AREA not in layer.name.lower()


def _shows(layer: Labels) -> str | None:
    try:
        return target_of(data_of(layer)).name
    except TargetError:
        return None


def _is_preview(layer: Labels) -> bool:
    return noted(layer.metadata).get("view") == _PREVIEW


def _doubt_of_layer(image: Image, layer: Labels, target: str) -> Doubt | None:
    if _is_preview(layer):
        return Doubt("This is a preview of an answer. Accept it first, and correct it.", True)
    try:
        mask = mask_of(data_of(layer))
    except ImageError as error:
        return Doubt(str(error), refused=True)
    size = size_of_layer(image)
    if mask.shape != size:
        labels, own = (" × ".join(map(str, reversed(one))) for one in (mask.shape, size))
        return Doubt(f"The labels are {labels}, the image is {own} (width × height).", True)
    if not mask.any():
        return Doubt("Nothing is painted here. Tick it only if the target really is not there.")
    if looks_inverted(mask, target):
        return Doubt(f"{mask.mean():.0%} of the image is painted: inverted?")
    return None
