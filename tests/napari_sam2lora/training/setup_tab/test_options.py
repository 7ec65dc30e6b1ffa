"""Target, preset, base model, initial adapter and run name."""

import pytest

from napari_sam2lora.training.setup_tab.options import SetupOptions

pytestmark = pytest.mark.viewer


@pytest.fixture
def options(qtbot) -> SetupOptions:
    presets = {"quick": "Quick adapt", "standard": "Standard", "detail": "Detail head"}
    made = SetupOptions(["vessel", "disc"], ["nano", "tiny"], presets)
    qtbot.addWidget(made)
    return made


def test_chosen_options_are_emitted(qtbot, options: SetupOptions) -> None:
    with qtbot.waitSignals([options.target_changed, options.changed]):
        options.choose(target="disc")
    options.choose(preset="standard", model="tiny")
    options.set_name(" mine ")
    chosen = (options.target, options.preset, options.model, options.name, options.start_from)
    assert chosen == ("disc", "standard", "tiny", "mine", None)


def test_what_trains_a_part_starts_from_the_first_adapter_and_standard_from_scratch(
    options: SetupOptions,
) -> None:
    options.show_adapters({"a": "a (Dice 0.8)", "b": "b"})
    assert options.start_from == "a"
    for preset, start in (("standard", None), ("detail", "a")):
        options.choose(preset=preset)
        options.show_adapters({"a": "a", "b": "b"})
        assert options.start_from == start


def test_chosen_adapter_is_kept_while_it_exists(options: SetupOptions) -> None:
    options.show_adapters({"a": "a", "b": "b"})
    options.choose_adapter("b")
    options.show_adapters({"new": "new", "a": "a", "b": "b"})
    assert options.start_from == "b"
    options.choose_adapter(None)
    options.show_adapters({"a": "a", "b": "b"})
    assert options.start_from is None
    options.choose_adapter("b")
    options.show_adapters({"a": "a"})
    assert options.start_from == "a"


def test_quick_adapt_without_adapters_starts_from_scratch(options: SetupOptions) -> None:
    options.show_adapters({})
    assert options.start_from is None


def test_default_run_name_is_not_the_users(options: SetupOptions) -> None:
    options.show_name("disc-quick-1")
    assert options.name == ""
