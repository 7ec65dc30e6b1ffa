"""The mouse on the canvas is an action, at most one a second."""

from napari.components import ViewerModel

from napari_sam2lora.grading.activity import Activity


def test_many_moves_are_one_action_until_it_is_closed():
    viewer, acted = ViewerModel(), []
    activity = Activity(viewer, lambda: acted.append(1))
    for callbacks in (viewer.mouse_move_callbacks, viewer.mouse_wheel_callbacks):
        callbacks[-1](viewer, None)
    assert acted == [1]
    activity.close()
    activity.close()
    assert activity._on_mouse not in viewer.mouse_drag_callbacks
