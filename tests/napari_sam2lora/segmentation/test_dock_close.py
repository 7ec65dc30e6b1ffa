"""Closing the dock, or its window, during a request."""

import threading

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Layer

from napari_sam2lora.segmentation.dock import SegmentDock

from ..helpers import press
from ..segmentation_window import WAIT, Window, fundus

pytestmark = pytest.mark.viewer


def test_closing_the_dock_during_a_request_is_clean(
    window: Window, monkeypatch: pytest.MonkeyPatch
):
    started, resume, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(request, report):
        started.set()
        resume.wait(60)
        try:
            report("continuing", 0, 1)
        finally:
            ended.set()

    monkeypatch.setattr(window.session.queue.engine, "segment", slow)
    press(window.dock, "Segment")
    window.qtbot.waitUntil(started.is_set, timeout=WAIT)
    received: list[object] = []
    window.session.queue.worker.done.connect(received.append)
    window.session.queue.worker.failed.connect(received.append)
    window.viewer.window.remove_dock_widget(window.dock)
    resume.set()
    assert ended.wait(60)
    window.qtbot.wait(0)
    assert received == []
    window.viewer.layers.remove("photo")
    window.viewer.add_layer(fundus("another"))


def plugin_callbacks(layer: Layer, viewer: Viewer) -> list[str]:
    """Return the modules of the plugin that a layer or the layer list would still call."""
    emitters = [
        *layer.events.emitters.values(),
        *viewer.layers.events.emitters.values(),
        viewer.layers.selection.events.active,
    ]
    found = []
    for emitter in emitters:
        for callback in emitter.callbacks:
            # napari stores a bound method as a weak reference to its object, and a name.
            target = callback[0]() if isinstance(callback, tuple) else callback
            found.append(type(target).__module__)
    return [module for module in found if module.startswith("napari_sam2lora")]


def test_closing_the_window_during_a_request_is_clean(make_napari_viewer, qtbot, monkeypatch):
    viewer = make_napari_viewer()
    image = viewer.add_layer(fundus())
    viewer.add_labels(np.zeros((200, 200), np.uint8), name="photo disc")
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment")
    session, started, resume = dock.session, threading.Event(), threading.Event()

    def slow(request, report):
        started.set()
        assert resume.wait(60)
        report("continuing", 0, 1)

    monkeypatch.setattr(session.queue.engine, "segment", slow)
    press(dock, "Segment")
    qtbot.waitUntil(started.is_set, timeout=WAIT)
    assert plugin_callbacks(image, viewer)
    received: list[object] = []
    session.queue.worker.done.connect(received.append)
    session.queue.worker.failed.connect(received.append)
    del dock  # only the window references it now
    viewer.close()
    qtbot.waitUntil(lambda: session.queue.worker._closed)
    resume.set()
    session.queue.worker._executor.shutdown(wait=True)
    qtbot.wait(0)
    assert received == []
    assert plugin_callbacks(image, viewer) == []
