"""The table of what is measured."""

from sam2lora.measurements.definitions import DEFINITIONS
from sam2lora.targets import TARGETS


def test_each_length_and_area_is_followed_by_its_twin_in_millimetres() -> None:
    names = list(DEFINITIONS)
    for place, name in enumerate(names):
        unit = DEFINITIONS[name].unit
        if unit in ("px", "px²"):
            twin = DEFINITIONS[names[place + 1]]
            assert twin.unit == unit.replace("px", "mm")
            assert "scale" in twin.needs
            assert name.endswith("_px")


def test_definitions_are_sentences_and_need_what_is_known() -> None:
    for definition in DEFINITIONS.values():
        assert definition.text[0].islower()
        assert not definition.text.endswith(".")
        assert set(definition.needs) <= {*TARGETS, "eye", "fovea", "scale"}
        assert set(definition.needs) & set(TARGETS)
