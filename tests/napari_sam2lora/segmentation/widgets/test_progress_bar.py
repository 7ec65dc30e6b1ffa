"""The progress of the worker thread, and the Cancel button."""

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.widgets.progress_bar import SegmentationProgress

from ...helpers import press


@pytest.fixture
def progress(qtbot: QtBot) -> SegmentationProgress:
    """Create an idle progress bar."""
    progress = SegmentationProgress()
    qtbot.addWidget(progress)
    return progress


def test_steps_are_shown_once_a_job_has_run_for_a_moment(
    progress: SegmentationProgress, qtbot: QtBot
):
    progress.show_busy(True)
    progress.show_progress("Segmenting", 3, 12)
    assert not progress.cancel.isEnabled()
    qtbot.waitUntil(progress.cancel.isEnabled)
    assert (progress.bar.value(), progress.bar.maximum()) == (3, 12)
    progress.show_busy(False)
    assert not progress.cancel.isEnabled()


def test_bar_without_a_total_does_not_move(progress: SegmentationProgress, qtbot: QtBot):
    """Qt animates a bar of 0 to 0, which repaints the whole window each time."""
    progress.show_busy(True)
    progress.show_progress("Loading", 0, None)
    qtbot.waitUntil(lambda: progress.bar.format() == "Loading")
    assert (progress.bar.value(), progress.bar.maximum()) == (0, 1)


def test_downloads_are_shown_in_megabytes(progress: SegmentationProgress, qtbot: QtBot):
    progress.show_busy(True)
    progress.show_progress("Downloading tiny", 40_000_000, 5_000_000_000)
    qtbot.waitUntil(lambda: progress.bar.format() == "Downloading tiny: 40 of 5000 MB")


def test_short_job_does_not_show_the_bar(progress: SegmentationProgress, qtbot: QtBot):
    progress.show_busy(True)
    progress.show_busy(False)
    qtbot.wait(400)
    assert not progress.cancel.isEnabled()


def test_cancel_is_emitted_only_while_a_job_runs(progress: SegmentationProgress, qtbot: QtBot):
    emitted: list[str] = []
    progress.cancelled.connect(lambda: emitted.append("cancel"))
    press(progress, "Cancel")
    assert emitted == []
    progress.show_busy(True)
    qtbot.waitUntil(progress.cancel.isEnabled)
    press(progress, "Cancel")
    assert emitted == ["cancel"]


def test_message_is_shown(progress: SegmentationProgress):
    progress.show_message("Done.")
    assert progress.message.text() == "Done."
