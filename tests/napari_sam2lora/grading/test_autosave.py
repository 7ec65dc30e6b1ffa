"""What is not saved is in a file soon after each change, and nothing else is."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.grading.recovering import bring_back
from sam2lora.errors import OutputError
from sam2lora.grading.recovery import INTERVAL

from .conftest import WAIT, mask_layer, paint

pytestmark = pytest.mark.viewer


def written(work, qtbot: QtBot):
    """Wait for the file, and return what is in it."""
    qtbot.waitUntil(lambda: work.grader.recovery.path.exists(), timeout=WAIT)
    return work.grader.recovery.read()


def test_a_stroke_is_in_the_file_within_two_seconds(open_work: Callable, qtbot: QtBot):
    viewer, work = open_work()
    work.go("eye1")
    layer = mask_layer(viewer, work.shown.path)
    qtbot.wait(round(1000 * INTERVAL))
    start = time.monotonic()
    paint(layer)
    found = written(work, qtbot)
    assert time.monotonic() - start < INTERVAL
    assert found.image == "eye1"
    assert found.arrays["disc.now"].sum() == 4


def test_painting_without_a_pause_is_written_too(open_work: Callable, qtbot: QtBot):
    viewer, work = open_work()
    work.go("eye1")
    layer = mask_layer(viewer, work.shown.path)
    end = time.monotonic() + INTERVAL
    while time.monotonic() < end and not work.grader.recovery.path.exists():
        with layer.block_history():
            layer.data_setitem((np.array([1]), np.array([int(time.monotonic() * 50) % 50])), 1)
        qtbot.wait(20)
    assert work.grader.recovery.path.exists()


def test_looking_at_an_image_writes_nothing(open_work: Callable, qtbot: QtBot):
    viewer, work = open_work()
    work.go("eye1")
    paint(mask_layer(viewer, work.shown.path))
    work.save()
    layer = mask_layer(viewer, work.shown.path)
    layer.visible = False
    layer.visible = True
    layer.refresh()
    qtbot.wait(round(1000 * INTERVAL))
    assert not work.grader.recovery.path.exists()


def test_saving_deletes_the_file_even_while_it_is_written(open_work: Callable, qtbot: QtBot):
    viewer, work = open_work()
    work.go("eye1")
    for row in range(5):
        paint(mask_layer(viewer, work.shown.path), row)
        work._autosave.write()
        work.save()
        assert not work.grader.recovery.path.exists()
    qtbot.wait(200)
    assert not work.grader.recovery.path.exists()


def test_undo_of_everything_is_kept_as_it_is(open_work: Callable, qtbot: QtBot):
    viewer, work = open_work()
    work.go("eye1")
    layer = mask_layer(viewer, work.shown.path)
    paint(layer, 0)
    paint(layer, 1)
    layer.undo()
    assert written(work, qtbot).arrays["disc.now"][1].sum() == 0


def test_what_was_painted_comes_back_with_its_steps(open_work: Callable, qtbot: QtBot):
    viewer, work = open_work()
    work.go("eye2")
    layer = mask_layer(viewer, work.shown.path)
    paint(layer, 0)
    paint(layer, 3)
    work.note_typing("bl")
    found = written(work, qtbot)
    work.close(save=False)
    viewer, later = open_work()
    later.go(found.image)
    assert bring_back(viewer, later.shown, found) == []
    again = mask_layer(viewer, later.shown.path)
    np.testing.assert_array_equal(again.data, layer.data)
    again.undo()
    assert again.data[0].any()
    assert not again.data[3].any()


def test_a_full_disk_is_reported(open_work: Callable, qtbot: QtBot, monkeypatch):
    viewer, work = open_work()
    work.go("eye1")

    def full(*_: object, **__: object) -> None:
        raise OutputError("No space left on device.")

    monkeypatch.setattr(work.grader.recovery, "write", full)
    with qtbot.waitSignal(work.failed, timeout=WAIT) as failed:
        paint(mask_layer(viewer, work.shown.path))
    assert failed.args == ["No space left on device."]


def test_a_full_disk_is_tried_again_without_another_change(
    open_work: Callable, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
):
    viewer, work = open_work()
    work.go("eye1")
    failures: list[str] = []
    work.failed.connect(failures.append)

    def full(*_: object, **__: object) -> None:
        raise OutputError("No space left on device.")

    monkeypatch.setattr(work.grader.recovery, "write", full)
    paint(mask_layer(viewer, work.shown.path))
    qtbot.waitUntil(lambda: bool(failures), timeout=WAIT)
    qtbot.wait(round(1000 * INTERVAL))
    assert failures == ["No space left on device."], "said once"
    monkeypatch.undo()
    qtbot.waitUntil(work.grader.recovery.path.exists, timeout=WAIT)


def test_saving_keeps_a_comment_half_typed_in_the_file(open_work: Callable):
    viewer, work = open_work()
    work.go("eye1")
    paint(mask_layer(viewer, work.shown.path))
    work.note_typing("half")
    work.save()
    found = work.grader.recovery.read()
    assert found.notes["comment"] == "half"
    assert not found.arrays
