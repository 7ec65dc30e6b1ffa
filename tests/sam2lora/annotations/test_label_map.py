"""All targets in one image, and its legend."""

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
def test_overlaps_go_to_the_target_that_is_first_by_the_stated_priority(tmp_path: Path, name: str):
    path, _ = save_label_map(tmp_path / name, MASKS)
    values = {name: target.label for name, target in TARGETS.items()}
    column = [values["disc"], values["cup"], values["vessel"], 0, 0, values["vessel"]]
    np.testing.assert_array_equal(read_values(path)[:, 0], column)


def test_the_priority_can_be_another(tmp_path: Path):
    path, legend = save_label_map(tmp_path / "a.png", MASKS, priority=("disc",))
    assert read_values(path)[2, 0] == TARGETS["disc"].label
    assert json.loads(legend.read_text())["priority"] == ["disc", "cup", "vessel"]


def test_the_legend_says_what_each_value_is(tmp_path: Path):
    save_target(Target(name="drusen", label=9, color="#102030"))
    path, legend = save_label_map(tmp_path / "eye.png", {**MASKS, "drusen": rows(3)})
    assert legend.name == "eye_legend.json"
    said = json.loads(legend.read_text(encoding="utf-8"))
    assert said["file"] == path.name
    assert said["priority"] == [*PRIORITY, "drusen"]
    assert said["labels"]["vessel"] == {"value": 1, "color": TARGETS["vessel"].color}
    assert said["labels"]["drusen"] == {"value": 9, "color": "#102030"}
    assert set(np.unique(read_values(path))) <= {
        0,
        *(one["value"] for one in said["labels"].values()),
    }


def test_what_is_no_set_of_masks_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(GeometryError, match="one and the same size"):
        save_label_map(tmp_path / "a.png", {"disc": rows(1), "cup": rows(1)[:3]})
    with pytest.raises(TargetError, match="nerve"):
        save_label_map(tmp_path / "a.png", {"nerve": rows(1)})
    assert list(tmp_path.iterdir()) == []
