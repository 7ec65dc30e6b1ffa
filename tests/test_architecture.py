"""The architecture page and its picture are those of the code."""

import re
from pathlib import Path

import pytest

from scripts.draw_architecture import PICTURE, draw
from scripts.room_graph import floors_of, read_rooms, reduce_graph
from scripts.source_tree import PACKAGES, ROOT

PAGE = (ROOT / "docs" / "develop" / "architecture.md").read_text(encoding="utf-8")


def test_picture_is_that_of_the_code():
    drawn = PICTURE.read_text(encoding="utf-8")
    assert drawn == draw(), "run `python -m scripts.draw_architecture` and look at the picture"


def test_every_room_stands_above_what_it_imports():
    graph = read_rooms()
    for package in PACKAGES:
        floors = floors_of(reduce_graph(graph), package)
        level = {room: number for number, floor in enumerate(floors) for room in floor}
        for room in level:
            assert all(level[room] < level[used] for used in graph[room] if used in level)


def test_rooms_and_imports_are_read_from_the_sources(tmp_path: Path):
    for name, text in {
        "__init__.py": "from sam2lora import top",
        "top.py": "def f():\n    import sam2lora.middle.part\nfrom sam2lora import low",
        "middle/__init__.py": "",
        "middle/part.py": "from sam2lora.low import x\nif TYPE_CHECKING:\n    import sam2lora.top",
        "low.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    graph = read_rooms({"sam2lora": tmp_path})
    top, middle, low = (("sam2lora", name) for name in ("top", "middle", "low"))
    assert graph == {top: {middle, low}, middle: {low}, low: set()}
    assert reduce_graph(graph) == {top: {middle}, middle: {low}, low: set()}
    assert floors_of(graph, "sam2lora") == [[top], [middle], [low]]


def test_circle_of_rooms_is_named():
    a, b = ("sam2lora", "a"), ("sam2lora", "b")
    with pytest.raises(ValueError, match="a → b → a"):
        reduce_graph({a: {b}, b: {a}})


@pytest.mark.parametrize(
    ("package", "title"), [("napari_sam2lora", "The plugin"), ("sam2lora", "The library")]
)
def test_page_describes_every_room(package: str, title: str):
    part = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", part, flags=re.MULTILINE)
    described = {name for cell in cells for name in re.findall(r"`(\w+)/?`", cell)}
    rooms = {name for half, room in read_rooms() if half == package for name in room.split(", ")}
    assert described == rooms


def test_modules_that_the_page_names_exist():
    named = set(re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+)`", PAGE))
    assert named
    missing = [
        name
        for name in named
        if not any((folder / f"{name}.py").is_file() for folder in (*PACKAGES.values(), ROOT))
    ]
    assert not missing
