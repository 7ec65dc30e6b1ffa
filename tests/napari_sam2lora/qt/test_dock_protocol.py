"""Messages from the Train dock to the docks of its viewer that use adapters."""

from types import SimpleNamespace

import pytest

from napari_sam2lora.qt.dock_protocol import (
    AcceptedPrediction,
    AdapterUser,
    free_gpu,
    note_accepted,
    note_confidence,
    restore_notes,
    unsaved_notes,
    use_adapter,
)
from sam2lora.errors import AdapterError


class Dock:
    """A dock that segments with adapters."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def use_adapter(self, name: str) -> None:
        if name == "missing":
            raise AdapterError("There is no adapter of this name.")
        self.calls.append(("use", name))

    def free_gpu(self, device: str) -> None:
        self.calls.append(("free", device))


def viewer_of(*docks: object) -> SimpleNamespace:
    """Create a stand-in for a viewer with docks."""
    widgets = {str(number): dock for number, dock in enumerate(docks)}
    return SimpleNamespace(window=SimpleNamespace(dock_widgets=widgets))


def test_all_docks_that_use_adapters_are_told():
    first, second, other = Dock(), Dock(), SimpleNamespace()
    viewer = viewer_of(first, other, second)
    use_adapter(viewer, "mine")
    free_gpu(viewer, "cuda:1")
    assert first.calls == second.calls == [("use", "mine"), ("free", "cuda:1")]


def test_viewer_without_such_docks_is_fine():
    use_adapter(viewer_of(SimpleNamespace()), "mine")
    free_gpu(viewer_of(), "auto")


def test_docks_that_list_confidences_are_told():
    noted = []
    listing = SimpleNamespace(note_confidence=lambda *entry: noted.append(entry))
    note_confidence(viewer_of(Dock(), listing), "eye.png", "disc", 0.4)
    assert noted == [("eye.png", "disc", 0.4)]


def test_error_of_a_dock_is_raised():
    with pytest.raises(AdapterError):
        use_adapter(viewer_of(Dock()), "missing")


@pytest.mark.viewer
def test_segment_dock_uses_the_adapter_that_is_handed_over(window, install_for_nano):
    assert isinstance(window.dock, AdapterUser)
    install_for_nano("mine")
    use_adapter(window.viewer, "mine")
    assert window.dock.model_panel.adapter.currentData() == "mine"
    window.segment()
    assert window.session.result.task.adapter.name == "mine"


class Worker:
    """A dock with work that is in no file, and one that writes down what predicted masks."""

    def __init__(self, **notes: object) -> None:
        self.notes, self.accepted = notes, []

    def unsaved_notes(self, image: str) -> dict[str, object]:
        return self.notes if image == "eye" else {}

    def restore_notes(self, image: str, notes: dict[str, object]) -> None:
        self.notes = dict(notes)

    def note_accepted(self, accepted: AcceptedPrediction) -> None:
        self.accepted.append(accepted.target)


def test_work_of_all_docks_is_asked_for_and_brought_back():
    first, second = Worker(prompts=1), Worker(thresholds=2)
    viewer = viewer_of(first, object(), second)
    assert unsaved_notes(viewer, "eye") == {"prompts": 1, "thresholds": 2}
    assert unsaved_notes(viewer, "other") == {}
    restore_notes(viewer, "eye", {"prompts": 3})
    assert second.notes == {"prompts": 3}


def test_docks_are_told_what_was_accepted():
    dock = Worker()
    note_accepted(viewer_of(dock, object()), AcceptedPrediction("eye", "cup", "nano", "", "", 0.5))
    assert dock.accepted == ["cup"]
