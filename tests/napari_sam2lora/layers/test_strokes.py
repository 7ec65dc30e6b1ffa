"""A drag in a Points layer as a chain of points."""

from types import SimpleNamespace

import numpy as np
from napari.layers import Points

from napari_sam2lora.layers.strokes import add_stroke


def drag(layer: Points, places: list[tuple[float, float]], *, wanted: bool = True) -> bool:
    """Drag over places, one screen pixel for each pixel; return whether the canvas stays."""
    event = SimpleNamespace(type="mouse_press", position=places[0], pos=places[0], handled=False)
    steps = add_stroke(lambda: wanted)(layer, event)
    next(steps, None)
    event.type = "mouse_move"
    for place in places:
        event.position = event.pos = place
        next(steps, None)
    event.type = "mouse_release"
    next(steps, None)
    return event.handled


def test_drag_adds_points_apart_from_each_other_in_one_change() -> None:
    layer = Points(np.empty((0, 2)))
    layer.mode = "add"
    changes: list[str] = []
    layer.events.data.connect(lambda event: changes.append(str(event.action)))
    assert drag(layer, [(10, 10 + step) for step in range(60)])
    np.testing.assert_array_equal(layer.data, [(10, 10), (10, 26), (10, 42), (10, 58)])
    assert changes.count("added") == 1


def test_click_adds_nothing_since_napari_does() -> None:
    layer = Points(np.empty((0, 2)))
    layer.mode = "add"
    drag(layer, [(10, 10), (11, 10)])
    assert not len(layer.data)


def test_drag_pans_with_another_tool() -> None:
    layer = Points(np.empty((0, 2)))
    layer.mode = "add"
    assert not drag(layer, [(10, 10), (60, 60)], wanted=False)
    layer.mode = "pan_zoom"
    assert not drag(layer, [(10, 10), (60, 60)])
    assert not len(layer.data)
