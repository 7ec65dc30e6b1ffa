"""The worst targets are listed first, and buttons say what is wanted."""

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.grading.review_panel import ReviewPanel, summary_text
from sam2lora.grading import GradingSession, Review
from sam2lora.grading.agreement import compare_graders

from ..helpers import label_text, press


@pytest.fixture
def panel(qtbot: QtBot) -> ReviewPanel:
    panel = ReviewPanel()
    qtbot.addWidget(panel)
    panel.show_graders(["anna", "ben"], decides=True)
    return panel


def test_agreement_is_listed_the_worst_first(panel: ReviewPanel, graded: GradingSession):
    agreement = compare_graders(Review(graded), "anna", "ben")
    panel.show_agreement(agreement)
    rows = [
        [panel.table.item(row, column).text() for column in range(3)]
        for row in range(panel.table.rowCount())
    ]
    assert [row[:2] for row in rows] == [["eye1", "disc"], ["eye2", "disc"], ["eye1", "cup"]]
    assert [float(row[2]) for row in rows] == sorted(float(row[2]) for row in rows)
    assert "disc, 2 images: Dice 0." in label_text(panel)
    assert "Cup/disc ratio, 1 images: anna minus ben -" in summary_text(agreement)
    chosen: list[tuple[str, str]] = []
    panel.chosen.connect(lambda *one: chosen.append(one))
    panel.table.cellClicked.emit(2, 0)
    assert chosen == [("eye1", "cup")]
    panel.show_choices("eye1", {"cup": "ben"})
    assert [panel.table.item(row, 5).text() for row in range(3)] == ["", "", "ben"]


def test_buttons_ask(panel: ReviewPanel):
    asked: list[object] = []
    panel.compare_requested.connect(lambda *pair: asked.append(pair))
    panel.choice_made.connect(asked.append)
    panel.paint_requested.connect(lambda choice: asked.append(f"paint {choice}"))
    panel.consensus_requested.connect(lambda otherwise: asked.append(f"else {otherwise}"))
    press(panel, "Compare")
    panel.take.setCurrentText("ben")
    press(panel, "Take")
    press(panel, "Edit")
    press(panel, "Take")
    press(panel, "Withdraw")
    panel.otherwise.setCurrentIndex(panel.otherwise.findData("anna"))
    press(panel, "Consensus…")
    assert asked == [("anna", "ben"), "ben", "paint ben", "painted", None, "else anna"]


def test_who_only_looks_decides_nothing(panel: ReviewPanel):
    panel.show_graders(["anna", "ben"], decides=False)
    assert panel.take.isHidden()
