"""The table of what is measured."""

from pathlib import Path

from sam2lora.measurements.definitions import DEFINITIONS, NormalRange
from sam2lora.targets import TARGETS

PAGE = Path(__file__).parents[3] / "docs" / "command_line" / "definitions.md"


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


def test_normal_ranges_are_closed_at_their_ends() -> None:
    assert NormalRange(1, 2, "x", "y").holds(1)
    assert not NormalRange(1, 2, "x", "y").holds(2.01)
    assert NormalRange(None, 2, "x", "y").holds(-5)
    texts = [NormalRange(*ends, "x", "y").text for ends in ((1, 2), (None, 2))]
    assert texts == ["1 to 2", "up to 2"]


def test_page_has_every_range_and_source() -> None:
    page = (Path(__file__).parents[3] / "docs" / "command_line" / "definitions.md").read_text(
        encoding="utf-8"
    )
    ranges = {name: one.normal for name, one in DEFINITIONS.items() if one.normal}
    assert len(ranges) == 4
    for name, normal in ranges.items():
        (line,) = [
            line
            for line in page.splitlines()
            if line.startswith(f"| `{name}` | ") and normal.about in line
        ]
        assert normal.text in line
        assert line.endswith(f"{normal.about} | {normal.source} |")
    sources = {one.source for one in DEFINITIONS.values()} | {one.source for one in ranges.values()}
    assert all(f"| {source} | " in page for source in sources if source)
    assert DEFINITIONS["isnt_rule"].note in page.replace("\n", " ")


def test_page_has_every_definition_but_the_twins() -> None:
    page = (Path(__file__).parents[3] / "docs" / "command_line" / "definitions.md").read_text(
        encoding="utf-8"
    )
    for one in DEFINITIONS.values():
        row = f"| `{one.name}` | {one.unit} | {', '.join(one.needs)} | {one.text} | {one.source} |"
        assert (row in page) == (one.unit not in ("mm", "mm²")), row
