"""What the docks of one viewer tell each other, each without knowing which others are open."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from napari.viewer import Viewer


@runtime_checkable
class AdapterUser(Protocol):
    """A dock that answers by adapters."""

    def use_adapter(self, name: str) -> None:
        """Answer the target of an installed adapter by it from now on."""

    def free_gpu(self, device: str) -> None:
        """Give memory of a device back: a training is about to begin there."""


def use_adapter(viewer: Viewer, name: str) -> None:
    """Let the docks of a viewer that answer by adapters choose one that was just installed."""
    for dock in _users(viewer):
        dock.use_adapter(name)


def free_gpu(viewer: Viewer, device: str) -> None:
    """Let the docks of a viewer give memory back before a training begins.

    Parameters
    ----------
    viewer
        Whose docks are meant.
    device
        As in the settings of the training: auto, cpu, cuda, cuda:1 or mps.
    """
    for dock in _users(viewer):
        dock.free_gpu(device)


def _users(viewer: Viewer) -> Iterator[AdapterUser]:
    docks = list(viewer.window.dock_widgets.values())
    return (one for one in docks if isinstance(one, AdapterUser))
