"""All targets in one label map, and its legend."""

import json
from pathlib import Path

import numpy as np
import pytest

from sam2lora.annotations import PRIORITY, save_label_map
from sam2lora.errors import GeometryError, TargetError
from sam2lora.images.reading import read_values
from sam2lora.targets import TARGETS, Target, save_target


def rows(*numbers: int) -> np.ndarray:
    mask = np.zeros((6, 4), bool)
    mask[list(numbers)] = True
    return mask


MASKS = {"disc": rows(0, 1, 2), "cup": rows(1, 2), "vessel": rows(2, 5)}


@pytest.mark.parametrize("name", ["map.png", "map.tif"])
def test_overlap_gets_the_target_of_highest_priority(tmp_path: Path, name: str):
    path, _ = save_label_map(tmp_path / name, MASKS)
    values = {name: target.label for name, target in TARGETS.items()}
    column = [values["disc"], values["cup"], values["vessel"], 0, 0, values["vessel"]]
    np.testing.assert_array_equal(read_values(path)[:, 0], column)


def test_priority_can_be_changed(tmp_path: Path):
    path, legend = save_label_map(tmp_path / "a.png", MASKS, priority=("disc",))
    assert read_values(path)[2, 0] == TARGETS["disc"].label
    assert json.loads(legend.read_text())["priority"] == ["disc", "cup", "vessel"]


def test_legend_lists_every_label_value(tmp_path: Path):
    save_target(Target(name="drusen", label=9, color="#102030"))
    path, legend = save_label_map(tmp_path / "eye.png", {**MASKS, "drusen": rows(3)})
    assert legend.name == "eye_legend.json"
    content = json.loads(legend.read_text(encoding="utf-8"))
    assert content["file"] == path.name
    assert content["priority"] == [*PRIORITY, "drusen"]
    assert content["labels"]["vessel"] == {"value": 1, "color": TARGETS["vessel"].color}
    assert content["labels"]["drusen"] == {"value": 9, "color": "#102030"}
    assert set(np.unique(read_values(path))) <= {
        0,
        *(entry["value"] for entry in content["labels"].values()),
    }


def test_invalid_masks_are_refused_before_writing(tmp_path: Path):
    with pytest.raises(GeometryError, match="must have the same size"):
        save_label_map(tmp_path / "a.png", {"disc": rows(1), "cup": rows(1)[:3]})
    with pytest.raises(TargetError, match="nerve"):
        save_label_map(tmp_path / "a.png", {"nerve": rows(1)})
    assert list(tmp_path.iterdir()) == []
