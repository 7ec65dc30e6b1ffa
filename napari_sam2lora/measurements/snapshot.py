"""What is measured in the viewer: copies of an image's masks, and what is known of the image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari.layers import Image, Labels
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, masks_of, spacing_of, target_of
from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.lookup import file_of, layer_data, masks_of_image
from napari_sam2lora.layers.masks import confidence_of
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from napari_sam2lora.layers.points import find_point
from napari_sam2lora.layers.preview import shown_predictions
from sam2lora import __version__
from sam2lora.cohort.fovea import Fovea
from sam2lora.cohort.record_row import Cell, Row, measured_cells
from sam2lora.errors import TargetError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements.drawing import Drawing, Region, draw_regions
from sam2lora.measurements.eye import EyeMeasurements, measure_geometry
from sam2lora.measurements.geometry import eye_geometry
from sam2lora.targets import FOVEA
from sam2lora.types import Eye, Mask, Spacing


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What is measured of one image, as it was when it was asked for.

    Attributes
    ----------
    image
        The id of the image.
    layer
        Its layer.
    masks
        Target name to mask, `(H, W)` bool: the prediction that is shown, else the Labels layer.
    confidences
        How sure the predictions among them are, and that of the fovea, 0…1, by target.
    eye
        Its side, as the file, the dataset or the user says.
    fovea
        Where its Points layer shows it.
    identity
        Cells of the table that say what the image is.
    """

    image: str
    layer: LayerData
    masks: Mapping[str, Mask]
    confidences: Mapping[str, float]
    eye: Eye | None
    fovea: Fovea | None
    identity: Mapping[str, Cell]

    @property
    def spacing(self) -> Spacing | None:
        """Millimetres per pixel (row, column) of the layer."""
        return spacing_of(self.layer)


@dataclass(frozen=True, eq=False)
class MeasuredEye:
    """What was measured in a snapshot.

    Attributes
    ----------
    snapshot
        What it was measured in.
    field
        The field of view.
    found
        The measurements.
    drawings
        The regions that they were measured in.
    """

    snapshot: Snapshot
    field: FieldOfView
    found: EyeMeasurements
    drawings: Mapping[Drawing, tuple[Region, ...]]

    def row(self) -> Row:
        """Return the row of the table that `sam2lora measure` writes."""
        sure = {f"{name}_confidence": one for name, one in self.snapshot.confidences.items()}
        measured = measured_cells(self.found, self.field, self.snapshot.fovea)
        return {**self.snapshot.identity, **measured, **sure}


def take_snapshot(viewer: Viewer, image: Image) -> Snapshot:
    """Copy the masks of an image, since a worker thread measures while the user goes on painting.

    Raises
    ------
    Sam2LoraError
        If the image has no masks, a mask is a stack, or two layers show one target.
    """
    key = image_id(image.metadata, image.name)
    labels = _one_per_target(masks_of_image(viewer, image))
    masks = masks_of([layer_data(layer) for layer in labels])
    sure = {
        target: confidence_of(layer, masks[target])
        for layer in labels
        if (target := target_of(layer_data(layer)).name) in masks
    }
    point = find_point(viewer.layers, key, FOVEA.name)
    fovea = None if point is None else Fovea.located(point.x, point.y, point.confidence)
    if fovea is not None:
        sure[FOVEA.name] = fovea.confidence
    for target, shown in shown_predictions(viewer.layers, key).items():
        masks[target], sure[target] = shown.mask, shown.confidence
    if not masks:
        raise TargetError(
            f"{image.name} has no masks. Segment it, or add a mask under Layers → Annotate, or "
            "rename a Labels layer of the image's size so that its name ends with vessel, disc or "
            "cup."
        )
    entries = plugin_metadata(image.metadata)
    path = file_of(image)
    return Snapshot(
        image=key,
        layer=layer_data(image),
        masks=masks,
        confidences={name: value for name, value in sure.items() if value is not None},
        eye=entries.get("eye"),
        fovea=fovea,
        identity={
            "file": path.as_posix() if path else image.name,
            "dataset": entries.get("dataset") or "",
            "patient": entries.get("patient") or "",
            "version": __version__,
        },
    )


def _one_per_target(labels: Sequence[Labels]) -> list[Labels]:
    """Return of each target the layers that are visible, or else all."""
    shown = {target_of(layer_data(layer)).name for layer in labels if layer.visible}
    return [
        layer for layer in labels if layer.visible or target_of(layer_data(layer)).name not in shown
    ]


def measure_snapshot(snapshot: Snapshot) -> MeasuredEye:
    """Measure a snapshot; may be called in a worker thread.

    Raises
    ------
    Sam2LoraError
        If the layer is not a single image, or the size of a mask is not the image's.
    """
    field = field_of_view(snapshot.layer)
    geometry = eye_geometry(
        snapshot.masks,
        field,
        spacing=snapshot.spacing,
        eye=snapshot.eye,
        fovea=snapshot.fovea.place if snapshot.fovea else None,
    )
    found = measure_geometry(geometry)
    return MeasuredEye(snapshot, field, found, draw_regions(geometry, found.values))
