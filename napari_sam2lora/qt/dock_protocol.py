"""Messages between the docks of one viewer, which do not import each other."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from napari.viewer import Viewer


@runtime_checkable
class AdapterUser(Protocol):
    """A dock that segments with adapters."""

    def use_adapter(self, name: str) -> None:
        """Segment an installed adapter's target with it from now on."""

    def free_gpu(self, device: str) -> None:
        """Release the memory of a device, on which a training is about to start."""


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
