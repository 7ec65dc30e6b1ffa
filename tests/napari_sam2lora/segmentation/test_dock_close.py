"""A dock, or its window, that is closed while it works."""

import threading

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Layer

from napari_sam2lora.segmentation.dock import SegmentDock

from ..segmentation_window import WAIT, Window, fundus, press

pytestmark = pytest.mark.viewer


def test_closing_the_dock_while_it_works_is_clean(window: Window, monkeypatch: pytest.MonkeyPatch):
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(question, report):
        begun.set()
        go_on.wait(60)
        try:
            report("going on", 0, 1)
        finally:
            ended.set()

    monkeypatch.setattr(window.session.queue.engine, "segment", slow)
    press(window.dock, "Segment")
    window.qtbot.waitUntil(begun.is_set, timeout=WAIT)
    heard: list[object] = []
    window.session.queue.worker.done.connect(heard.append)
    window.session.queue.worker.failed.connect(heard.append)
    window.viewer.window.remove_dock_widget(window.dock)
    go_on.set()
    assert ended.wait(60)
    window.qtbot.wait(0)
    assert heard == []
    window.viewer.layers.remove("photo")
    window.viewer.add_layer(fundus("another"))


def ours(layer: Layer, viewer: Viewer) -> list[str]:
    """Give the modules of the plugin that a layer, or the list of layers, would still call."""
    emitters = [
        *layer.events.emitters.values(),
        *viewer.layers.events.emitters.values(),
        viewer.layers.selection.events.active,
    ]
    found = []
    for emitter in emitters:
        for callback in emitter.callbacks:
            # A bound method is kept as a weak reference to its object, and a name.
            called = callback[0]() if isinstance(callback, tuple) else callback
            found.append(type(called).__module__)
    return [module for module in found if module.startswith("napari_sam2lora")]


def test_closing_the_window_while_it_works_is_clean(make_napari_viewer, qtbot, monkeypatch):
    viewer = make_napari_viewer()
    image = viewer.add_layer(fundus())
    viewer.add_labels(np.zeros((200, 200), np.uint8), name="photo disc")
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment")
    session, begun, go_on = dock.session, threading.Event(), threading.Event()

    def slow(question, report):
        begun.set()
        assert go_on.wait(60)
        report("going on", 0, 1)

    monkeypatch.setattr(session.queue.engine, "segment", slow)
    press(dock, "Segment")
    qtbot.waitUntil(begun.is_set, timeout=WAIT)
    assert ours(image, viewer)
    heard: list[object] = []
    session.queue.worker.done.connect(heard.append)
    session.queue.worker.failed.connect(heard.append)
    del dock  # the window alone holds it
    viewer.close()
    qtbot.waitUntil(lambda: session.queue.worker._closed)
    go_on.set()
    session.queue.worker._executor.shutdown(wait=True)
    qtbot.wait(0)
    assert heard == []
    assert ours(image, viewer) == []
