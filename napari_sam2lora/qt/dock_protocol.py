"""Messages between the docks of one viewer, which do not import each other."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from napari.viewer import Viewer
from npe2 import PluginManager
from qtpy.QtWidgets import QDockWidget

SEGMENT = "Segment (SAM2-LoRA fundus)"
"""napari's name of the Segment dock."""

_SEGMENT_COMMAND = "napari-sam2lora.segment"


@runtime_checkable
class AdapterUser(Protocol):
    """A dock that segments with adapters."""

    def use_adapter(self, name: str) -> None:
        """Segment an installed adapter's target with it from now on."""

    def free_gpu(self, device: str) -> None:
        """Release the memory of a device, on which a training is about to start."""


@dataclass(frozen=True)
class NextImage:
    """The image that a list shows after the current one.

    Attributes
    ----------
    key
        Its id.
    read
        Reads it as a layer; may be called in a worker thread.
    annotated
        The names of the targets that have a mask already.
    """

    key: str
    read: Callable[[], tuple[Any, dict[str, Any], str]]
    annotated: frozenset[str]


@runtime_checkable
class ImageSteps(Protocol):
    """A dock that goes through a list of images, one of which it shows."""

    def next_image(self, image: str) -> NextImage | None:
        """Return the image after one, given by its id; None at the end, or if it isn't shown."""

    def finish_image(self, image: str) -> bool:
        """Mark an image as done, and show the next one; return False if it isn't shown."""


@runtime_checkable
class ConfidenceList(Protocol):
    """A dock that lists images by how sure their predictions are."""

    def note_confidence(self, image: str, target: str, confidence: float | None) -> None:
        """Take notice of a prediction: the image's id, and its confidence, if that is known."""


@dataclass(frozen=True)
class AcceptedPrediction:
    """A prediction that was accepted into a mask.

    Attributes
    ----------
    image, target
        The image's id, and the name of the target.
    model, adapter
        Names of the base model and the adapter; the adapter is empty if there was none.
    adapter_sha256
        Digest of the adapter's tensors.
    confidence
        0…1; None if it is not known.
    """

    image: str
    target: str
    model: str
    adapter: str
    adapter_sha256: str
    confidence: float | None


@runtime_checkable
class PredictionLog(Protocol):
    """A dock that writes down what predicted a mask."""

    def note_accepted(self, accepted: AcceptedPrediction) -> None:
        """Take notice of a prediction that was accepted into a mask."""


@runtime_checkable
class UnsavedNotes(Protocol):
    """A dock with work on an image that is in no file, such as prompts."""

    def unsaved_notes(self, image: str) -> dict[str, Any]:
        """Return the work on an image, given by its id, as JSON has it; empty if there is none."""

    def restore_notes(self, image: str, notes: Mapping[str, Any]) -> None:
        """Bring back what `unsaved_notes` returned, in an image that is shown again."""


def logs_predictions(viewer: Viewer) -> bool:
    """Check whether a dock of a viewer writes down what predicted a mask."""
    return any(isinstance(dock, PredictionLog) for dock in viewer.window.dock_widgets.values())


def note_accepted(viewer: Viewer, accepted: AcceptedPrediction) -> None:
    """Notify the docks of a viewer that a prediction was accepted into a mask."""
    for dock in list(viewer.window.dock_widgets.values()):
        if isinstance(dock, PredictionLog):
            dock.note_accepted(accepted)


def unsaved_notes(viewer: Viewer, image: str) -> dict[str, Any]:
    """Return the work of a viewer's docks on an image, given by its id; see `UnsavedNotes`."""
    notes: dict[str, Any] = {}
    for dock in list(viewer.window.dock_widgets.values()):
        if isinstance(dock, UnsavedNotes):
            notes |= dock.unsaved_notes(image)
    return notes


def restore_notes(viewer: Viewer, image: str, notes: Mapping[str, Any]) -> None:
    """Bring back the work of a viewer's docks on an image, given by its id."""
    for dock in list(viewer.window.dock_widgets.values()):
        if isinstance(dock, UnsavedNotes):
            dock.restore_notes(image, notes)


def open_segment_dock(viewer: Viewer) -> None:
    """Open the Segment dock of a viewer, or bring it to the front, as its menu entry does."""
    docks = viewer.window.dock_widgets
    if SEGMENT not in docks:
        create = PluginManager.instance().commands.get(_SEGMENT_COMMAND)
        viewer.window.add_dock_widget(create(viewer), name=SEGMENT, area="right")
        return
    frame = docks[SEGMENT].parent()
    if isinstance(frame, QDockWidget):
        frame.show()
        frame.raise_()


def note_confidence(viewer: Viewer, image: str, target: str, confidence: float | None) -> None:
    """Notify the docks of a viewer how sure a prediction is: the image's id, 0…1 or None."""
    for dock in list(viewer.window.dock_widgets.values()):
        if isinstance(dock, ConfidenceList):
            dock.note_confidence(image, target, confidence)


def next_image(viewer: Viewer, image: str) -> NextImage | None:
    """Return the image after one, given by its id; None at the end, or if no list shows it."""
    found = (dock.next_image(image) for dock in _image_steps(viewer))
    return next((one for one in found if one is not None), None)


def finish_image(viewer: Viewer, image: str) -> bool:
    """Mark an image as done, and show the next one; return False if no list shows it.

    If several lists show the same image, only the first takes the step.
    """
    return any(dock.finish_image(image) for dock in _image_steps(viewer))


def use_adapter(viewer: Viewer, name: str) -> None:
    """Select an adapter that was just installed in all docks of a viewer that use adapters.

    Raises
    ------
    AdapterError
        If there is no adapter of this name.
    """
    for dock in _adapter_users(viewer):
        dock.use_adapter(name)


def free_gpu(viewer: Viewer, device: str) -> None:
    """Release the GPU memory held by the docks of a viewer before a training starts.

    Parameters
    ----------
    viewer
        The viewer that holds the docks.
    device
        Device of the training: auto, cpu, cuda, cuda:1 or mps.
    """
    for dock in _adapter_users(viewer):
        dock.free_gpu(device)


def _adapter_users(viewer: Viewer) -> Iterator[AdapterUser]:
    docks = list(viewer.window.dock_widgets.values())
    return (dock for dock in docks if isinstance(dock, AdapterUser))


def _image_steps(viewer: Viewer) -> Iterator[ImageSteps]:
    docks = list(viewer.window.dock_widgets.values())
    return (dock for dock in docks if isinstance(dock, ImageSteps))
