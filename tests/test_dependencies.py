"""The rooms of both packages stand on floors: a module imports from its own room or from below."""

import ast

import pytest

from scripts.source_tree import MODULES, PACKAGES, SOURCES, imports

LIBRARY = (
    ("errors", "types"),
    ("utils",),
    ("targets",),
    ("settings",),
    ("compute", "images", "losses"),
    ("measurements",),
    ("datasets", "metrics", "runs", "synthetic", "transforms"),
    ("annotations", "prompts"),
    ("models",),
    ("adapters",),
    ("inference",),
    ("cohort", "evaluation", "training"),
    ("grading",),
    ("cli",),
    ("__main__",),
)
"""Rooms of `sam2lora`, from the ground up."""

PLUGIN = (
    ("_settings", "qt"),
    ("adapters",),
    ("layers",),
    ("commands", "evaluation", "image_list", "measurements"),
    ("segmentation.widgets", "training.data", "training.settings_tab"),
    ("segmentation", "training.run"),
    ("grading", "training.progress_tab", "training.setup_tab"),
    ("training.runs_tab",),
    ("training",),
    ("_reader", "_sample_data", "_writer"),
)
"""Rooms of `napari_sam2lora`, all of them above the library."""

FLOORS = {
    f"{package}.{room}": number + offset
    for package, rooms, offset in (
        ("sam2lora", LIBRARY, 0),
        ("napari_sam2lora", PLUGIN, len(LIBRARY)),
    )
    for number, floor in enumerate(rooms)
    for room in floor
}
PACKAGE_ROOTS = {"sam2lora", "napari_sam2lora"}  # version and lazy public names


def room(module: str) -> str:
    """Return the room of a module: the longest name in the table that it begins with."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in FLOORS), parts[0])


def upward(module: str, source: str) -> list[str]:
    """Return what a module imports from its own floor's other rooms, or from above."""
    found = imports(source, module) & MODULES.keys() - PACKAGE_ROOTS
    mine = room(module)
    return sorted(
        name for name in found if room(name) != mine and FLOORS[room(name)] >= FLOORS[mine]
    )


@pytest.mark.parametrize("module", sorted(MODULES.keys() - PACKAGE_ROOTS))
def test_module_imports_from_below_alone(module: str) -> None:
    assert room(module) in FLOORS, f"{module} is in no room: add it to the table of floors"
    assert upward(module, SOURCES[module]) == []


def test_every_room_of_the_table_is_there() -> None:
    assert {room(module) for module in MODULES} - PACKAGE_ROOTS == FLOORS.keys()


def test_an_upward_import_is_noticed() -> None:
    assert upward("sam2lora.utils.files", "from sam2lora.images.reading import read_image")
    assert upward("sam2lora.images.reading", "import sam2lora.losses.functional")
    assert upward("sam2lora.cli.predict", "from sam2lora.images.reading import read_image") == []
    assert upward("napari_sam2lora.qt.worker", "from napari_sam2lora.layers import lookup")
    assert upward("napari_sam2lora.image_list.dock", "import napari_sam2lora.evaluation.dock")


WIDGETS = [name for name in MODULES if ".segmentation.widgets." in name]


@pytest.mark.parametrize("module", WIDGETS)
def test_widget_knows_neither_session_nor_viewer(module: str) -> None:
    names = imports(SOURCES[module], module)
    assert not [name for name in names if name.startswith("napari.") or name.endswith("session")]


NETWORK = tuple(f"sam2lora.{room}." for room in ("compute", "models", "inference", "training"))


@pytest.mark.parametrize("module", [name for name in MODULES if ".layers." in name])
def test_layers_know_no_network(module: str) -> None:
    names = imports(SOURCES[module], module)
    assert not [name for name in names if f"{name}.".startswith(NETWORK)]


def type_names(source: str) -> set[str]:
    """Return the public classes and type aliases that `source` defines."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            found |= {name for name in names if name[:1].isupper() and not name.isupper()}
    return {name for name in found if not name.startswith("_")}


def test_no_public_type_name_means_two_things() -> None:
    homes: dict[str, list[str]] = {}
    for module, source in SOURCES.items():
        for name in type_names(source):
            homes.setdefault(name, []).append(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
    assert type_names("class A: ...\n_B = int\nCee = list[int]\nD, E = 1, 2\nLIMIT = 3") == {
        "A",
        "Cee",
    }


LOOSE = {
    "sam2lora": {"__main__", "errors", "settings", "targets", "types"},
    "napari_sam2lora": {"_reader", "_sample_data", "_settings", "_writer", "adapters"},
}
"""Modules that lie in no folder."""


@pytest.mark.parametrize("package", sorted(LOOSE))
def test_no_other_module_lies_at_the_root(package: str) -> None:
    root = PACKAGES[package]
    assert {path.stem for path in root.glob("*.py")} - {"__init__"} == LOOSE[package]
