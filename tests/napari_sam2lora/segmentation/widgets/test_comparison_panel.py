"""The comparison panel: its lists and what it emits."""

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.widgets.comparison_panel import ComparisonPanel
from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC, NO_ADAPTER

from ...helpers import pick, press


@pytest.fixture
def panel(qtbot: QtBot) -> ComparisonPanel:
    """Create a panel with one adapter and one reference."""
    panel = ComparisonPanel()
    qtbot.addWidget(panel)
    panel.show_adapters([("mine, Dice 0.9", "mine")])
    panel.show_references([("photo disc", "id-1")])
    return panel


def test_compare_emits_each_selected_model_once(panel: ComparisonPanel):
    emitted: list[tuple] = []
    panel.compare_requested.connect(lambda *args: emitted.append(args))
    press(panel, "Compare")
    pick(panel.models[1], NO_ADAPTER)
    pick(panel.models[2], "mine")
    pick(panel.reference, "id-1")
    pick(panel.display, "blink")
    press(panel, "Compare")
    assert emitted == [
        ([NO_ADAPTER, AUTOMATIC], None, "side by side"),
        ([NO_ADAPTER, "mine"], "id-1", "blink"),
    ]


def test_removed_reference_stays_selected(panel: ComparisonPanel):
    pick(panel.reference, "id-1")
    panel.show_references([("grader disc", "id-2")])
    assert panel.reference.currentData() == "id-1"
    assert panel.reference.currentText() == "photo disc"


def test_running_comparison_can_be_cleared_but_not_started_again(panel: ComparisonPanel):
    emitted: list[str] = []
    panel.compare_requested.connect(lambda *_: emitted.append("compare"))
    panel.clear_requested.connect(lambda: emitted.append("clear"))
    panel.show_busy(True)
    press(panel, "Compare")
    press(panel, "Clear")
    assert emitted == ["clear"]


def test_opening_a_list_requests_its_entries(panel: ComparisonPanel, qtbot: QtBot):
    for box in (*panel.models, panel.reference):
        with qtbot.waitSignal(panel.lists_requested, timeout=1000):
            box.showPopup()
        box.hidePopup()
