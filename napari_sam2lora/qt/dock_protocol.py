"""Messages between the docks of one viewer, which do not import each other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from napari.viewer import Viewer


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
    """A dock that goes through a list of images."""

    def next_image(self) -> NextImage | None:
        """Return the image after the current one; None at the end."""

    def finish_image(self) -> None:
        """Mark the current image as done, and show the next one."""


@runtime_checkable
class ConfidenceList(Protocol):
    """A dock that lists images by how sure their predictions are."""

    def note_confidence(self, image: str, target: str, confidence: float | None) -> None:
        """Take notice of a prediction: the image's id, and its confidence, if that is known."""


def note_confidence(viewer: Viewer, image: str, target: str, confidence: float | None) -> None:
    """Notify the docks of a viewer how sure a prediction is: the image's id, 0…1 or None."""
    for dock in list(viewer.window.dock_widgets.values()):
        if isinstance(dock, ConfidenceList):
            dock.note_confidence(image, target, confidence)


def next_image(viewer: Viewer) -> NextImage | None:
    """Return the image that is shown next; None at the end, and without a list."""
    found = (dock.next_image() for dock in _image_steps(viewer))
    return next((one for one in found if one is not None), None)


def finish_image(viewer: Viewer) -> bool:
    """Mark the current image as done, and show the next one; return False without a list."""
    docks = list(_image_steps(viewer))
    for dock in docks:
        dock.finish_image()
    return bool(docks)


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
