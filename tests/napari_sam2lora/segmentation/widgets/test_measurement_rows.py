"""The rows of measurements."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QLabel

from napari_sam2lora.segmentation.widgets.measurement_rows import MeasurementRows


@pytest.fixture
def rows(qtbot: QtBot) -> MeasurementRows:
    """Create a widget without rows."""
    rows = MeasurementRows()
    qtbot.addWidget(rows)
    return rows


def test_new_rows_replace_the_old_ones(rows: MeasurementRows, qtbot: QtBot):
    rows.show_rows([("a", "1"), ("b", "2")])
    rows.show_rows([("c", "3")])

    def shown() -> list[str]:
        labels = rows.findChildren(QLabel)
        return [label.text() for label in labels if label is not rows.message]

    qtbot.waitUntil(lambda: shown() == ["c", "3"])


def test_empty_message_is_hidden(rows: MeasurementRows):
    rows.show_message("Two layers show disc.")
    assert not rows.message.isHidden()
    rows.show_message("")
    assert rows.message.isHidden()


def test_place_of_the_rows_stays_when_they_vanish(rows: MeasurementRows):
    rows.show_rows([("a", "1"), ("b", "2"), ("c", "3")])
    before = rows.minimumHeight()
    rows.show_rows([])
    assert rows.minimumHeight() == before > 0
