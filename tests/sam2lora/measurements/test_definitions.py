"""The table of what is measured."""

from pathlib import Path

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


def test_page_has_every_definition_but_the_twins() -> None:
    page = (Path(__file__).parents[3] / "docs" / "measurements.md").read_text(encoding="utf-8")
    for one in DEFINITIONS.values():
        row = f"| `{one.name}` | {one.unit} | {', '.join(one.needs)} | {one.text} | {one.source} |"
        assert (row in page) == (one.unit not in ("mm", "mm²")), row
