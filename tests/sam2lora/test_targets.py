"""Targets: the built-in ones and a user's own."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from sam2lora.errors import GeometryError, TargetError
from sam2lora.targets import (
    FOVEA,
    TARGETS,
    Target,
    all_targets,
    combine,
    config_folder,
    delete_target,
    get_target,
    point_targets,
    save_target,
)

DRUSEN = Target(name="drusen", label=9, color="#ffffff")


def test_label_values_are_the_documented_ones() -> None:
    assert {name: target.label for name, target in TARGETS.items()} == {
        "vessel": 1,
        "disc": 2,
        "cup": 3,
    }


def test_users_target_is_saved_and_deleted() -> None:
    save_target(DRUSEN)
    assert get_target("drusen") == DRUSEN
    assert list(all_targets()) == ["vessel", "disc", "cup", "drusen"]
    save_target(DRUSEN.model_copy(update={"color": "#000000"}))
    assert get_target("drusen").color == "#000000"
    delete_target("drusen")
    with pytest.raises(TargetError, match="vessel, disc, cup"):
        get_target("drusen")


def test_built_in_targets_and_taken_values_are_protected() -> None:
    with pytest.raises(TargetError, match="built in"):
        save_target(Target(name="disc", label=7, color="#ffffff"))
    with pytest.raises(TargetError, match="belongs to the target 'cup'"):
        save_target(Target(name="rim", label=3, color="#ffffff"))
    with pytest.raises(TargetError, match="cannot be deleted"):
        delete_target("vessel")


def test_target_lies_in_one_that_exists_and_not_in_itself() -> None:
    assert get_target("cup").inside == "disc"
    ring = Target(name="ring", label=20, color="#ffffff", inside="cup")
    save_target(ring)
    save_target(Target(name="dot", label=21, color="#ffffff", inside="ring"))
    with pytest.raises(TargetError, match=r"lie in 'disk', and there is no such target.*disc"):
        save_target(Target(name="rim", label=22, color="#ffffff", inside="disk"))
    for inner in ("ring", "dot"):
        with pytest.raises(TargetError, match="which lies in it"):
            save_target(ring.model_copy(update={"inside": inner}))
    with pytest.raises(TargetError, match="Delete 'dot' first"):
        delete_target("ring")


def test_damaged_targets_file_is_named_and_not_overwritten() -> None:
    config_folder().mkdir(parents=True)
    path = config_folder() / "targets.json"
    path.write_text('[{"name": "x"')
    with pytest.raises(TargetError, match=r"targets\.json"):
        all_targets()
    with pytest.raises(TargetError):
        save_target(DRUSEN)
    assert path.read_text() == '[{"name": "x"'


@pytest.mark.parametrize(
    "wrong", [{"name": "Two words"}, {"label": 0}, {"color": "red"}, {"threshold": 1.0}, {"x": 1}]
)
def test_invalid_targets_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate(DRUSEN.model_dump() | wrong)


def test_combine_follows_the_priority() -> None:
    disc = np.array([[1, 1, 1, 0]], bool)
    cup = np.array([[0, 1, 1, 0]], bool)
    vessel = np.array([[0, 0, 1, 1]], bool)
    masks = {"vessel": vessel, "disc": disc, "cup": cup}
    assert combine(masks).tolist() == [[2, 3, 1, 1]]
    assert combine(masks, priority=["disc", "cup", "vessel"]).tolist() == [[2, 2, 2, 1]]
    assert combine(masks, priority=[]).tolist() == [[2, 2, 1, 1]]


def test_combine_needs_masks_of_one_size() -> None:
    with pytest.raises(GeometryError, match="disc"):
        combine({"disc": np.zeros((2, 2), bool), "cup": np.zeros((3, 2), bool)})
    with pytest.raises(GeometryError, match="none"):
        combine({})


def test_config_folder_is_the_platforms_unless_overridden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SAM2LORA_CONFIG", str(tmp_path))
    assert config_folder() == tmp_path
    monkeypatch.delenv("SAM2LORA_CONFIG")
    assert "napari-sam2lora" in str(config_folder())


def test_fovea_is_a_point_without_a_label() -> None:
    assert (FOVEA.kind, FOVEA.label, FOVEA.measure) == ("point", 0, "closeness")
    assert get_target("fovea") == FOVEA
    assert "fovea" not in all_targets()  # which are masks: layers, columns and labels
    assert list(point_targets()) == ["fovea"]
    with pytest.raises(TargetError, match="built in"):
        save_target(FOVEA)
    with pytest.raises(TargetError, match="no such target"):
        save_target(Target(name="pit", label=20, color="#ffffff", inside="fovea"))


def test_points_and_masks_of_ones_own_are_apart() -> None:
    save_target(DRUSEN)
    center = Target(name="center", kind="point", label=0, color="#ffffff")
    save_target(center)
    assert list(point_targets()) == ["fovea", "center"]
    assert list(all_targets()) == ["vessel", "disc", "cup", "drusen"]
    for kind, label in (("point", 4), ("mask", 0)):
        with pytest.raises(ValidationError, match="a point has the label 0"):
            Target.model_validate({"name": "a", "kind": kind, "label": label, "color": "#ffffff"})


def test_mask_called_fovea_that_a_user_has_already_stays(tmp_path: Path) -> None:
    config_folder().mkdir(parents=True, exist_ok=True)
    before = '[{"name": "fovea", "label": 4, "color": "#ffffff", "detail": "whole"}]'
    (config_folder() / "targets.json").write_text(before)
    assert get_target("fovea").kind == "mask"
    assert list(all_targets())[-1] == "fovea"
    assert point_targets() == {}
