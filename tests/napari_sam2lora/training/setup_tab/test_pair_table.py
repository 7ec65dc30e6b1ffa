"""The table of pairs."""

import pytest
from qtpy.QtCore import Qt

from napari_sam2lora.training.data.pairs import Pair, PairIssue
from napari_sam2lora.training.setup_tab.pair_table import PairTable

pytestmark = pytest.mark.viewer


def pair(name: str, issue: PairIssue | None = None) -> Pair:
    return Pair(name, name, f"{name} disc", name, issue is None, issue)


PAIRS = [
    pair("good"),
    pair("empty", PairIssue("The mask is empty.")),
    pair("preview", PairIssue("This is a preview.", blocking=True)),
]


@pytest.fixture
def table(qtbot) -> PairTable:
    made = PairTable()
    qtbot.addWidget(made)
    made.show_pairs(PAIRS)
    return made


def names(table: PairTable) -> list[str]:
    return [pair.name for pair in table.selected_pairs()]


def check(table: PairTable, row: int, checked: bool) -> None:
    state = Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked
    table.tree.topLevelItem(row).setCheckState(0, state)


def test_preselected_pairs_are_selected(table: PairTable) -> None:
    assert names(table) == ["good"]
    assert "only one image" in table.message.text()


def test_pair_with_an_issue_can_be_selected_unless_it_is_blocking(qtbot, table: PairTable) -> None:
    with qtbot.waitSignal(table.selection_changed):
        check(table, 1, True)
    assert names(table) == ["good", "empty"]
    assert not table.tree.topLevelItem(2).flags() & Qt.ItemFlag.ItemIsUserCheckable
    check(table, 2, True)
    assert names(table) == ["good", "empty"]


def test_number_of_selected_pairs_is_shown(table: PairTable) -> None:
    table.show_pairs([pair("a"), pair("b")])
    assert table.message.text() == "2 of 2 selected."


def test_selection_is_kept_by_a_refresh(table: PairTable) -> None:
    check(table, 0, False)
    table.show_pairs([*PAIRS, pair("new")])
    assert names(table) == ["new"]


def test_select_all_leaves_out_pairs_with_an_issue(table: PairTable) -> None:
    check(table, 1, True)
    table.select_all(False)
    assert names(table) == []
    assert "Select at least one" in table.message.text()
    table.select_all(True)
    assert names(table) == ["good"]
    table.show_pairs([pair("empty"), pair("preview")])  # their issues are resolved
    assert names(table) == ["empty", "preview"]


def test_select_all_keeps_the_selection_of_other_targets(table: PairTable) -> None:
    check(table, 0, False)
    table.show_pairs([pair("of another target")])
    table.select_all(False)
    table.select_all(True)
    table.show_pairs(PAIRS)
    assert names(table) == []


def test_issue_of_the_current_row_is_shown(table: PairTable) -> None:
    table.tree.setCurrentItem(table.tree.topLevelItem(2))
    assert table.message.text() == "preview: This is a preview."
    assert "This is a preview." in table.tree.topLevelItem(2).toolTip(0)


def test_empty_table_says_what_to_do(table: PairTable) -> None:
    table.show_pairs([])
    assert "Open images" in table.message.text()
