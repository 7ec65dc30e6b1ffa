"""The table of pairs."""

import pytest
from qtpy.QtCore import Qt

from napari_sam2lora.training.data.pairs import Pair, PairIssue
from napari_sam2lora.training.setup_tab.pair_table import PairTable

pytestmark = pytest.mark.viewer


def pair(name: str, doubt: PairIssue | None = None, patient: str | None = None) -> Pair:
    return Pair(name, name, f"{name} disc", patient or name, doubt is None, doubt)


PAIRS = [
    pair("good"),
    pair("empty", PairIssue("Nothing is painted.")),
    pair("preview", PairIssue("This is a preview.", blocking=True)),
]


@pytest.fixture
def table(qtbot) -> PairTable:
    made = PairTable()
    qtbot.addWidget(made)
    made.show_pairs(PAIRS)
    return made


def names(table: PairTable) -> list[str]:
    return [one.name for one in table.selected_pairs()]


def tick(table: PairTable, row: int, ticked: bool) -> None:
    state = Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
    table.tree.topLevelItem(row).setCheckState(0, state)


def test_what_is_proposed_is_ticked(table: PairTable) -> None:
    assert names(table) == ["good"]
    assert "only one image" in table.words.text()


def test_a_doubt_can_be_overruled_but_not_a_refusal(qtbot, table: PairTable) -> None:
    with qtbot.waitSignal(table.selection_changed):
        tick(table, 1, True)
    assert names(table) == ["good", "empty"]
    assert not table.tree.topLevelItem(2).flags() & Qt.ItemFlag.ItemIsUserCheckable
    tick(table, 2, True)
    assert names(table) == ["good", "empty"]


def test_ticks_stay_when_the_list_is_made_anew(table: PairTable) -> None:
    tick(table, 0, False)
    table.show_pairs([*PAIRS, pair("new")])
    assert names(table) == ["new"]


def test_all_are_those_without_a_doubt(table: PairTable) -> None:
    tick(table, 1, True)
    table.select_all(False)
    assert names(table) == []
    assert "Tick at least one" in table.words.text()
    table.select_all(True)
    assert names(table) == ["good"]
    table.show_pairs([pair("empty"), pair("preview")])  # nothing is wrong with them any more
    assert names(table) == ["empty", "preview"]


def test_all_and_none_leave_the_ticks_of_others(table: PairTable) -> None:
    tick(table, 0, False)
    table.show_pairs([pair("of another target")])
    table.select_all(False)
    table.select_all(True)
    table.show_pairs(PAIRS)
    assert names(table) == []


def test_the_selected_one_says_what_is_wrong(table: PairTable) -> None:
    table.tree.setCurrentItem(table.tree.topLevelItem(2))
    assert table.words.text() == "preview: This is a preview."
    assert "This is a preview." in table.tree.topLevelItem(2).toolTip(0)


def test_an_empty_table_says_what_to_do(table: PairTable) -> None:
    table.show_pairs([])
    assert "Open photographs" in table.words.text()
