"""The tree of measurements."""

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam2lora.measurements.rows import rows_of
from napari_sam2lora.measurements.tree import MeasurementTree
from sam2lora.measurements.definitions import DEFINITIONS
from sam2lora.measurements.eye import EyeMeasurements

pytestmark = pytest.mark.viewer

RECURSIVE = Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive


def test_measurements_are_in_groups_and_marked(qtbot: QtBot):
    tree = MeasurementTree()
    qtbot.addWidget(tree)
    nothing = EyeMeasurements(dict.fromkeys(DEFINITIONS), None, None, ())
    found = replace(nothing, values={**nothing.values, "vertical_cup_disc_ratio": 0.9})
    tree.show_rows(rows_of(found, {"cup": 0.5}, None))
    groups = [tree.topLevelItem(number) for number in range(tree.topLevelItemCount())]
    assert [group.text(0) for group in groups] == ["Disc and cup", "Rim", "Vessels", "Fovea"]
    assert all(group.isExpanded() for group in groups)
    (ratio,) = tree.findItems("Vertical cup/disc", RECURSIVE, 0)
    assert [ratio.text(column) for column in range(3)] == [
        *("Vertical cup/disc", "0.900", "outside; cup 0.50"),
    ]
    assert ratio.font(1).bold()
    assert ratio.toolTip(1).startswith("above 0.7")
    parts = [groups[1].child(number).text(0) for number in range(groups[1].childCount())]
    assert "Clock hours" in parts
    groups[0].setExpanded(False)
    tree.show_rows(rows_of(nothing, {}, None))
    assert tree.topLevelItem(0) is groups[0]
    assert not groups[0].isExpanded()
    assert ratio.text(1) == "—"
    assert not ratio.font(1).bold()
    tree.empty()
    assert tree.topLevelItemCount() == 0


def test_outdated_values_are_pale_until_new_ones_are_there(qtbot: QtBot):
    tree = MeasurementTree()
    qtbot.addWidget(tree)
    nothing = EyeMeasurements(dict.fromkeys(DEFINITIONS), None, None, ())
    found = replace(nothing, values={**nothing.values, "vertical_cup_disc_ratio": 0.9})
    tree.show_rows(rows_of(found, {}, None))
    (ratio,) = tree.findItems("Vertical cup/disc", RECURSIVE, 0)
    for outdated in (True, False, True):
        tree.mark_outdated(outdated=outdated)
        tree.show_rows(rows_of(found, {}, None))
        assert ratio.font(1).italic() == outdated
        assert ratio.font(1).bold()
        assert (ratio.foreground(1).color().alpha() < 128) == outdated
        assert not ratio.font(0).italic()
