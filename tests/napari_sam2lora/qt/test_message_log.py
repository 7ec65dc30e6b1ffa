"""The log of a dock keeps its messages in full."""

import pytest

from napari_sam2lora.qt.message_log import MessageLog

pytestmark = pytest.mark.viewer


def test_messages_are_kept_with_their_times(qtbot):
    log = MessageLog()
    qtbot.addWidget(log)
    for text in ("Saved disc.", "Saved disc.", "", "Not saved: the disk is full."):
        log.add(text)
    first, second = log.toPlainText().splitlines()
    assert first.endswith("  Saved disc.")
    assert second.endswith("  Not saved: the disk is full.")
    assert first[2] == first[5] == ":"
