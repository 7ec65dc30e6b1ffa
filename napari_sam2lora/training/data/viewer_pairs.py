"""Images in the viewer with Labels layers that can be trained on.

The layers' metadata, names and sizes say what belongs together; each mask is read once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
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
    pair_key,
    real_path,
    test_half_warning,
)
from sam2lora.datasets.inverted import looks_inverted
from sam2lora.datasets.records import patient_from_name
from sam2lora.errors import ImageError, TargetError

_PREVIEW = "preview"  # the view of a layer that shows a prediction


@dataclass(frozen=True, eq=False)
class LayerPair(Pair):
    """An image in the viewer and a Labels layer.

    Attributes
    ----------
    image
        Layer of the image.
    layer
        Layer of the mask; None if there is none of the target.
    changed
        Whether the mask differs from what was read or last saved.
    area
        Layer of the annotated region; None for the whole image.
    """

    image: Image
    layer: Labels | None
    changed: bool = False
    area: Layer | None = None


@dataclass(frozen=True)
class MaskSummary:
    """What the table has to know of a mask.

    Attributes
    ----------
    shape
        `(H, W)` in pixels.
    share
        Marked share of the image, 0 to 1.
    inverted
        Whether more is marked than the target can cover.
    fingerprint
        Changes with the mask.
    """

    shape: tuple[int, ...]
    share: float
    inverted: bool
    fingerprint: int

    @classmethod
    def of(cls, layer: Labels, target: str) -> Self:
        """Read the mask of a layer.

        Raises
        ------
        ImageError
            If the layer has more than two dimensions.
        """
        mask = mask_of(layer_data(layer))
        share = int(np.count_nonzero(mask)) / mask.size
        return cls(mask.shape, share, looks_inverted(mask, target), fingerprint(mask))


Summaries = MutableMapping[Labels, MaskSummary]
"""Summaries of masks that have not changed since they were read."""


def pairs_in_viewer(
    viewer: Viewer, target: str, *, summaries: Summaries | None = None
) -> list[LayerPair]:
    """Pair each image in the viewer with its masks of a target.

    An image without one is listed too, with the reason.

    Parameters
    ----------
    viewer
        The viewer.
    target
        Name of the target.
    summaries
        What is known of masks from an earlier call for this target. A mask that is missing there is
        read, and its summary added: whoever passes a mapping removes a layer when its mask changes.
    """
    summaries = {} if summaries is None else summaries
    images = fundus_images(viewer.layers)
    layers = [layer for layer in viewer.layers if isinstance(layer, Labels) and _may_be_mask(layer)]
    owners = [(layer, image_of_labels(layer, images)) for layer in layers]
    pairs = [
        pair
        for image in images
        for pair in _pairs_of(
            viewer,
            image,
            {layer: owner.certain for layer, owner in owners if owner.image is image},
            target,
            summaries,
        )
    ]
    return _with_distinct_keys(pairs, target)


def target_shown(layer: Labels) -> str | None:
    """Return the name of the target that a layer shows; None if it is not known."""
    try:
        return target_in(layer.metadata, layer.name).name
    except TargetError:
        return None


def _pairs_of(
    viewer: Viewer,
    image: Image,
    labels: Mapping[Labels, bool],
    target: str,
    summaries: Summaries,
) -> Iterator[LayerPair]:
    """Pair an image with its masks; values of `labels`: whether a layer surely belongs to it."""
    area = area_of_image(viewer.layers, image)
    shown = [layer for layer in labels if target_shown(layer) == target]
    several = len([layer for layer in shown if not _is_preview(layer)]) > 1
    for layer in shown:
        summary, issue = _summary_of(image, layer, target, summaries)
        if summary is not None:
            issue = _issue_of_mask(image, summary, target, sure=labels[layer], several=several)
        accepted = plugin_metadata(layer.metadata).get("accepted")
        as_predicted = summary is not None and summary.fingerprint == accepted
        changed = _is_changed(layer, summary)
        yield _layer_pair(image, layer, target, area, issue, changed, as_predicted=as_predicted)
    if not shown:
        message = f"There are no labels of {target}. Name a Labels layer “{image.name} {target}”."
        others = [target_shown(layer) or layer.name for layer in labels if not _is_preview(layer)]
        if others:
            found = ", ".join(dict.fromkeys(others))
            message = f"There are labels of {found}, but not of {target}."
        yield _layer_pair(image, None, target, area, PairIssue(message, blocking=True), False)


def _layer_pair(
    image: Image,
    layer: Labels | None,
    target: str,
    area: Layer | None,
    issue: PairIssue | None,
    changed: bool,
    *,
    as_predicted: bool = False,
) -> LayerPair:
    about = plugin_metadata(image.metadata)
    if about.get("patient"):
        patient = f"{about['dataset']} {about['patient']}"
    else:
        patient = patient_from_name(image.name)
    return LayerPair(
        key=pair_key(_image_key(image), target),
        name=image.name,
        labels="none" if layer is None else layer.name,
        patient=patient,
        preselected=issue is None,
        issue=issue,
        file=real_path(about.get("path")),
        as_predicted=as_predicted,
        image=image,
        layer=layer,
        changed=changed,
        area=area,
    )


def _with_distinct_keys(pairs: Sequence[LayerPair], target: str) -> list[LayerPair]:
    """Add the layer to the keys of pairs that cannot be used, or of which an image has several."""
    usable = Counter(pair.key for pair in pairs if pair.usable)
    return [
        pair
        if pair.usable and usable[pair.key] == 1
        else replace(
            pair, key=pair_key(_image_key(pair.image), target, (pair.layer or pair.image).name)
        )
        for pair in pairs
    ]


def _image_key(image: Image) -> str:
    """Return what the pairs of folders call an image, or its own id if it is a copy of another."""
    about = plugin_metadata(image.metadata)
    file = None if about.get("key") else about.get("path")
    return real_path(file) or image_id(image.metadata, image.name)


def _may_be_mask(layer: Labels) -> bool:
    """Check that a layer is no view, such as a map of errors; a preview is listed as blocked."""
    return (
        plugin_metadata(layer.metadata).get("view") in (None, _PREVIEW)
        and AREA not in layer.name.lower()
    )


def _is_preview(layer: Labels) -> bool:
    return plugin_metadata(layer.metadata).get("view") == _PREVIEW


def _is_changed(layer: Labels, summary: MaskSummary | None) -> bool:
    """Check whether a mask differs from what was read or saved; of foreign layers nothing was."""
    saved = plugin_metadata(layer.metadata).get("saved")
    return summary is not None and summary.fingerprint != saved


def _summary_of(
    image: Image, layer: Labels, target: str, summaries: Summaries
) -> tuple[MaskSummary | None, PairIssue | None]:
    """Return the summary of a mask, or the issue for which it cannot be used."""
    if _is_preview(layer):
        message = "This is a preview of a prediction. Accept it first, then correct it."
        return None, PairIssue(message, blocking=True)
    try:
        if layer not in summaries:
            summaries[layer] = MaskSummary.of(layer, target)
    except ImageError as error:
        return None, PairIssue(str(error), blocking=True)
    summary, size = summaries[layer], layer_size(image)
    if summary.shape != size:
        labels, own = (" × ".join(map(str, reversed(one))) for one in (summary.shape, size))
        message = f"The labels are {labels}, the image is {own} (width × height)."
        return None, PairIssue(message, blocking=True)
    return summary, None


def _issue_of_mask(
    image: Image, summary: MaskSummary, target: str, *, sure: bool, several: bool
) -> PairIssue | None:
    about = plugin_metadata(image.metadata)
    warnings = test_half_warning(about.get("split"), about.get("dataset"))
    if not sure:
        warnings.append("Only the size of the labels matches this image.")
    if not summary.share:
        warnings.append("The mask is empty. Select it only if the target is not in the image.")
    elif summary.inverted:
        warnings.append(f"The mask covers {summary.share:.0%} of the image: inverted?")
    if several:
        warnings.append(f"Several layers show {target} in this image. Select one of them.")
    return PairIssue(" ".join(warnings)) if warnings else None
