"""Photographs in the viewer with labels that could be trained on.

They are proposed by what the layers' metadata, names and sizes say; what is wrong with a pair is
said in words.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import fingerprint, mask_of
from napari_sam2lora.layers.lookup import (
    AREA,
    fundus_images,
    image_of_labels,
    layer_data,
    layer_size,
)
from napari_sam2lora.layers.metadata import image_id, plugin_metadata, target_in
from napari_sam2lora.training.data.annotated_area import area_of_image
from napari_sam2lora.training.data.pairs import (
    Pair,
    PairIssue,
    key_of_pair,
    real_path,
    test_half_warning,
)
from sam2lora.datasets.check import looks_inverted
from sam2lora.datasets.records import patient_from_name
from sam2lora.errors import ImageError, TargetError

_PREVIEW = "preview"  # the view of a layer that shows an answer


@dataclass(frozen=True, eq=False)
class LayerPair(Pair):
    """A photograph in the viewer and a Labels layer.

    Attributes
    ----------
    image, layer
        Its layers.
    changed
        The labels are not as they were read or last saved.
    area
        Says which part was annotated.
    """

    image: Image
    layer: Labels | None
    changed: bool = False
    area: Layer | None = None


def pairs_in_viewer(viewer: Viewer, target: str) -> list[LayerPair]:
    """Pair each photograph in the viewer with its labels of a target, as far as it has any.

    A photograph without is listed too, with the reason.
    """
    images = fundus_images(viewer.layers)
    layers = [layer for layer in viewer.layers if isinstance(layer, Labels) and _may_be_mask(layer)]
    owners = [(layer, image_of_labels(layer, images)) for layer in layers]
    pairs = [
        pair
        for image in images
        for pair in _pairs_of(
            viewer, image, {one: its.certain for one, its in owners if its.image is image}, target
        )
    ]
    return _told_apart(pairs, target)


def _pairs_of(
    viewer: Viewer, image: Image, found: Mapping[Labels, bool], target: str
) -> Iterator[LayerPair]:
    """Pair an image with its labels; `found` tells which are its own for sure."""
    area = area_of_image(viewer.layers, image)
    shown = [layer for layer in found if target_shown(layer) == target]
    several = len([one for one in shown if not _is_preview(one)]) > 1
    for layer in shown:
        doubt = _refusal_of_layer(image, layer)
        if doubt is None:
            doubt = _doubt_of_layer(image, layer, target, sure=found[layer], several=several)
        yield _layer_pair(image, layer, target, area, doubt)
    if not shown:
        others = [target_shown(layer) or layer.name for layer in found if not _is_preview(layer)]
        words = f"There are no labels of {target}. Let the name of a Labels layer end in {target}."
        if others:
            words = f"There are labels of {', '.join(dict.fromkeys(others))}, but not of {target}."
        yield _layer_pair(image, None, target, area, PairIssue(words, blocking=True))


def _layer_pair(
    image: Image, layer: Labels | None, target: str, area: Layer | None, doubt: PairIssue | None
) -> LayerPair:
    about = plugin_metadata(image.metadata)
    if about.get("patient"):
        patient = f"{about['dataset']} {about['patient']}"
    else:
        patient = patient_from_name(image.name)
    return LayerPair(
        key=key_of_pair(_identity(image), target),
        name=image.name,
        labels="none" if layer is None else layer.name,
        patient=patient,
        proposed=doubt is None,
        issue=doubt,
        file=real_path(about.get("path")),
        image=image,
        layer=layer,
        changed=layer is not None and not (doubt and doubt.blocking) and _is_changed(layer),
        area=area,
    )


def _told_apart(pairs: Sequence[LayerPair], target: str) -> list[LayerPair]:
    """Name by their layers those that cannot be used, and those of which an image has several."""
    usable = Counter(one.key for one in pairs if not one.refused)
    return [
        replace(one, key=key_of_pair(_identity(one.image), target, (one.layer or one.image).name))
        if one.refused or usable[one.key] > 1
        else one
        for one in pairs
    ]


def _identity(image: Image) -> str:
    """Name an image as the lists of folders do, unless it is a copy of another."""
    about = plugin_metadata(image.metadata)
    file = None if about.get("key") else about.get("path")
    return real_path(file) or image_id(image.metadata, image.name)


def _is_changed(layer: Labels) -> bool:
    """Tell whether a layer is not what was read or saved; of others' layers nothing was."""
    return fingerprint(mask_of(layer_data(layer))) != plugin_metadata(layer.metadata).get("saved")


def _may_be_mask(layer: Labels) -> bool:
    """Tell views apart, such as maps of errors; a preview is kept, to say why it is refused."""
    return (
        plugin_metadata(layer.metadata).get("view") in (None, _PREVIEW)
        and AREA not in layer.name.lower()
    )


def target_shown(layer: Labels) -> str | None:
    """Name the target that a layer shows; None if that is not known."""
    try:
        return target_in(layer.metadata, layer.name).name
    except TargetError:
        return None


def _is_preview(layer: Labels) -> bool:
    return plugin_metadata(layer.metadata).get("view") == _PREVIEW


def _refusal_of_layer(image: Image, layer: Labels) -> PairIssue | None:
    if _is_preview(layer):
        return PairIssue("This is a preview of an answer. Accept it first, and correct it.", True)
    try:
        mask = mask_of(layer_data(layer))
    except ImageError as error:
        return PairIssue(str(error), blocking=True)
    size = layer_size(image)
    if mask.shape != size:
        labels, own = (" × ".join(map(str, reversed(one))) for one in (mask.shape, size))
        return PairIssue(f"The labels are {labels}, the image is {own} (width × height).", True)
    return None


def _doubt_of_layer(
    image: Image, layer: Labels, target: str, *, sure: bool, several: bool
) -> PairIssue | None:
    about, mask = plugin_metadata(image.metadata), mask_of(layer_data(layer))
    words = test_half_warning(about.get("split"), about.get("dataset"))
    if not sure:
        words.append("Only its size says that it is of this image.")
    if not mask.any():
        words.append("Nothing is painted here. Tick it only if the target really is not there.")
    elif looks_inverted(mask, target):
        words.append(f"{mask.mean():.0%} of the image is painted: inverted?")
    if several:
        words.append(f"Several layers show {target} in this image. Tick one of them.")
    return PairIssue(" ".join(words)) if words else None
