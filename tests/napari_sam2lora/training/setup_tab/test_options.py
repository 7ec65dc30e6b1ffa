"""Target, preset, base model, start and name."""

import pytest

from napari_sam2lora.training.setup_tab.options import SetupOptions

pytestmark = pytest.mark.viewer


@pytest.fixture
def choices(qtbot) -> SetupOptions:
    presets = {"quick": "Quick adapt", "standard": "Standard"}
    made = SetupOptions(["vessel", "disc"], ["nano", "tiny"], presets)
    qtbot.addWidget(made)
    return made


def test_what_is_chosen_is_said(qtbot, choices: SetupOptions) -> None:
    with qtbot.waitSignals([choices.target_changed, choices.changed]):
        choices.choose(target="disc")
    choices.choose(preset="standard", model="tiny")
    choices.set_name(" mine ")
    chosen = (choices.target, choices.preset, choices.model, choices.name, choices.start_from)
    assert chosen == ("disc", "standard", "tiny", "mine", None)


def test_quick_goes_on_from_the_first_and_others_begin_anew(choices: SetupOptions) -> None:
    choices.show_starts({"a": "a (Dice 0.8)", "b": "b"})
    assert choices.start_from == "a"
    choices.choose(preset="standard")
    choices.show_starts({"a": "a", "b": "b"})
    assert choices.start_from is None


def test_what_was_chosen_stays_chosen(choices: SetupOptions) -> None:
    choices.show_starts({"a": "a", "b": "b"})
    choices.choose_start("b")
    choices.show_starts({"new": "new", "a": "a", "b": "b"})
    assert choices.start_from == "b"
    choices.choose_start(None)
    choices.show_starts({"a": "a", "b": "b"})
    assert choices.start_from is None
    choices.choose_start("b")
    choices.show_starts({"a": "a"})
    assert choices.start_from == "a"


def test_without_adapters_there_is_nothing_to_go_on_from(choices: SetupOptions) -> None:
    choices.show_starts({})
    assert choices.start_from is None
    choices.show_name("disc-quick-1")
    assert choices.name == ""
