"""What was painted is painted again, with the same steps to undo."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam2lora.layers.mask_strokes import STEPS, MaskStrokes, paint_again

SHAPE = (20, 30)


def empty() -> np.ndarray:
    return np.zeros(SHAPE, np.uint8)


def test_strokes_are_painted_again_and_can_be_undone():
    strokes, values, states = MaskStrokes(empty()), empty(), [empty()]
    for row in range(3):
        values[row, :5] = row + 1
        values[0, row] = 0
        strokes.add(values)
        states.append(values.copy())
    layer = Labels(empty())
    assert paint_again(layer, strokes.arrays(values))
    for state in reversed(states):
        np.testing.assert_array_equal(layer.data, state)
        layer.undo()


def test_stroke_that_has_not_ended_is_a_step_of_its_own():
    strokes, values = MaskStrokes(empty()), empty()
    values[0] = 1
    strokes.add(values)
    ended = values.copy()
    values[1] = 1
    layer = Labels(empty())
    paint_again(layer, strokes.arrays(values))
    np.testing.assert_array_equal(layer.data, values)
    layer.undo()
    np.testing.assert_array_equal(layer.data, ended)


def test_more_strokes_than_can_be_undone_become_one():
    strokes, values = MaskStrokes(empty()), empty()
    for number in range(STEPS + 30):
        values.reshape(-1)[number % 7 : number % 7 + 3] = 1 + number % 3
        strokes.add(values)
    arrays = strokes.arrays(values)
    assert len(arrays["lengths"]) <= STEPS
    layer = Labels(empty())
    paint_again(layer, arrays)
    np.testing.assert_array_equal(layer.data, values)
    np.testing.assert_array_equal(
        layer.data.reshape(-1)[arrays["where"].max() + 1 :], 0, "nothing else is painted"
    )


def test_a_stroke_without_effect_is_none():
    strokes = MaskStrokes(empty())
    assert not strokes.changed(empty())
    strokes.add(empty())
    assert not strokes.changed(empty())
    painted = empty()
    painted[0, 0] = 1
    assert strokes.changed(painted)
    strokes.add(painted)
    strokes.add(empty())
    assert strokes.changed(empty()), "there is something to undo"


@pytest.mark.parametrize("damage", ["size", "part", "lengths", "where"])
def test_what_does_not_fit_is_not_painted(damage: str):
    strokes, values = MaskStrokes(empty()), empty()
    values[0] = 1
    strokes.add(values)
    arrays = strokes.arrays(values)
    match damage:
        case "size":
            arrays["now"] = arrays["now"][1:]
        case "part":
            del arrays["where"]
        case "lengths":
            arrays["lengths"] = arrays["lengths"] + 1
        case "where":
            arrays["where"] = arrays["where"] + np.uint32(10**6)
    layer = Labels(empty())
    assert not paint_again(layer, arrays)
    assert not layer.data.any()
