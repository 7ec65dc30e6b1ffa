"""Images with labels that could be trained on: those in the viewer, and those of the image list.

They are proposed by what the layers' metadata, names and sizes say, and by data set; what is wrong
with a pair is said in words. Nothing is read here; `snapshot` does that.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora._chosen import data_of, photographs
from napari_sam2lora._layers import key_of, mask_of, noted, target_of
from napari_sam2lora._photographs import Listing, Photograph, list_photographs
from sam2lora.corrections import Corrections
from sam2lora.datasets.check import looks_inverted
from sam2lora.datasets.records import patient_from_name
from sam2lora.errors import ImageError, TargetError

AREA = "annotated area"
"""The end of the name of a layer that says which part of an image was annotated."""

_PREVIEW = "preview"  # the view of a layer that shows an answer


@dataclass(frozen=True)
class Doubt:
    """What is wrong with a pair, in words.

    Attributes
    ----------
    words
        A sentence.
    refused
        The pair cannot be trained on as it is.
    """

    words: str
    refused: bool = False


@dataclass(frozen=True, eq=False)
class Pair:
    """One image with labels of one target.

    Attributes
    ----------
    key
        Names the image among others, and across refreshes.
    name
        Of the image.
    labels
        Where its labels are from, in words.
    patient
        Identifies the person.
    proposed
        Whether it is ticked unless the user says otherwise.
    doubt
        What is wrong with it; None if nothing is known to be.
    """

    key: str
    name: str
    labels: str
    patient: str
    proposed: bool
    doubt: Doubt | None


@dataclass(frozen=True, eq=False)
class LayerPair(Pair):
    """A photograph in the viewer and a Labels layer."""

    image: Image
    layer: Labels | None
    area: Layer | None


@dataclass(frozen=True, eq=False)
class FilePair(Pair):
    """A photograph of a folder, with a mask of its data set or what it was corrected to."""

    photograph: Photograph
    corrections: Corrections


def pairs_in_viewer(viewer: Viewer, target: str) -> list[LayerPair]:
    """Pair each photograph in the viewer with its labels of a target, as far as it has any.

    A photograph without is listed too, with the reason.
    """
    images = photographs(viewer.layers)
    layers = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    return [pair for image in images for pair in _pairs_of(viewer, image, images, layers, target)]


def pairs_in_folder(folder: Path, target: str) -> list[FilePair]:
    """List the photographs of a folder, or of the data set it is, that have labels of a target.

    Those that were corrected or marked as done in the image list are proposed; if none was, all.

    Raises
    ------
    DatasetError
        If there is no image in the folder, or its corrections are damaged.
    """
    listing = list_photographs(folder)
    corrections = Corrections(listing.source)
    done = corrections.done()
    labelled = [
        (one, corrections.has(one.stem, target))
        for one in listing.photographs
        if corrections.has(one.stem, target) or (one.record and target in one.record.masks)
    ]
    looked_at = {one.stem for one, corrected in labelled if corrected or one.stem in done}
    return [
        FilePair(
            key=str(one.path),
            name=one.stem,
            labels="corrected" if corrected else _set_of(one, listing),
            patient=patient_of(one),
            proposed=one.stem in looked_at if looked_at else True,
            doubt=_doubt_of_file(one),
            photograph=one,
            corrections=corrections,
        )
        for one, corrected in labelled
    ]


def listed_folders(layers: Iterable[Layer]) -> list[Path]:
    """Give the folders of which an image is in the viewer as one of several."""
    folders = (noted(layer.metadata).get("listed_in") for layer in layers)
    return [Path(folder) for folder in dict.fromkeys(folders) if folder]


def patient_of(photograph: Photograph) -> str:
    """Name the person of a photograph, apart from those of other data sets."""
    record = photograph.record
    if record is None:
        return patient_from_name(photograph.stem)
    return f"{record.dataset} {record.patient}"


def doubts_of(pairs: Sequence[Pair]) -> list[str]:
    """Say what is to be known about pairs that are trained on together."""
    if not pairs:
        return ["Tick at least one image with labels."]
    people: dict[str, list[str]] = {}
    for pair in pairs:
        people.setdefault(pair.patient, []).append(pair.name)
    if len(pairs) == 1:
        return [
            "There is only one image, so it is judged by a part of itself that is not learned "
            "from. That says little about other images."
        ]
    if len(people) == 1:
        return [
            f"All {len(pairs)} images are of one person, so each is judged by a part of itself "
            "that is not learned from. That says little about other people."
        ]
    both = [names for names in people.values() if len(names) > 1]
    if both:
        return [
            f"{len(pairs)} images of {len(people)} people: {', '.join(both[0])} count as one "
            "person, and are learned from or held out together."
        ]
    return []


def only_one_person(pairs: Sequence[Pair]) -> bool:
    """Tell whether nobody can be held out."""
    return len({pair.patient for pair in pairs}) < 2


def _pairs_of(
    viewer: Viewer, image: Image, images: Sequence[Image], layers: Sequence[Labels], target: str
) -> Iterator[LayerPair]:
    found = [layer for layer in layers if _belongs(layer, image, images)]
    area = _annotated_area(viewer, image)
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
        image=image,
        layer=layer,
        area=area,
    )


def _belongs(layer: Labels, image: Image, images: Sequence[Image]) -> bool:
    """Tell whether a Labels layer is about an image: it says so, or its name and size do."""
    about = noted(layer.metadata)
    if about.get("view") not in (None, _PREVIEW) or AREA in layer.name.lower():
        return False
    if "image" in about:
        return bool(about["image"] == key_of(data_of(image)))
    named = [one for one in images if layer.name.startswith(one.name)]
    if named:
        return max(named, key=lambda one: len(one.name)) is image
    same_size = [one for one in images if _size(one) == _size(layer)]
    return same_size == [image] or images == [image]


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
    if mask.shape != _size(image):
        labels, own = (" × ".join(map(str, reversed(one))) for one in (mask.shape, _size(image)))
        return Doubt(f"The labels are {labels}, the image is {own} (width × height).", True)
    if not mask.any():
        return Doubt("Nothing is painted here. Tick it only if the target really is not there.")
    if looks_inverted(mask, target):
        return Doubt(f"{mask.mean():.0%} of the image is painted: inverted?")
    return None


def _doubt_of_file(photograph: Photograph) -> Doubt | None:
    record = photograph.record
    if record is not None and record.split == "test":
        return Doubt(
            f"It is of the test half of {record.dataset}: figures on that half would no longer "
            "count."
        )
    return None


def _set_of(photograph: Photograph, listing: Listing) -> str:
    return photograph.record.dataset if photograph.record else listing.source.stem


def _annotated_area(viewer: Viewer, image: Image) -> Layer | None:
    """Find the layer that says which part of an image was annotated."""
    key, areas = key_of(data_of(image)), []
    for layer in viewer.layers:
        about = noted(layer.metadata)
        if about.get("view") == AREA and about.get("image") == key:
            return layer
        if layer.name.lower() == f"{image.name} {AREA}".lower():
            areas.append(layer)
    return areas[0] if areas else None


def _size(layer: Layer) -> tuple[int, ...]:
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    rows_last = data.shape[:2] if getattr(layer, "rgb", False) else data.shape[-2:]
    return tuple(rows_last)
