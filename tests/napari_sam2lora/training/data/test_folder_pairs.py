"""Pairs of images and masks in folders."""

import shutil
from pathlib import Path

import pytest
from napari.layers import Image

from napari_sam2lora.training.data.folder_pairs import listed_folders, pairs_in_folder
from sam2lora.annotations.store import Corrections
from sam2lora.errors import DatasetError

from ..conftest import eye_layers, round_mask


def test_images_of_a_folder_are_paired_with_their_masks(folder: Path) -> None:
    pairs = pairs_in_folder(folder, "disc")
    assert [(pair.name, pair.patient, pair.preselected) for pair in pairs] == [
        ("anna_left", "mine anna", True),
        ("anna_right", "mine anna", True),
        ("ben_left", "mine ben", True),
    ]
    assert pairs_in_folder(folder, "cup") == []


def test_only_corrected_images_are_preselected_if_there_are_any(folder: Path) -> None:
    corrections = Corrections(folder)
    image = folder / "images/ben_left.png"
    corrections.save("ben_left", image, {"disc": round_mask(5), "cup": round_mask(3)})
    assert [pair.preselected for pair in pairs_in_folder(folder, "disc")] == [False, False, True]
    assert [pair.labels for pair in pairs_in_folder(folder, "cup")] == ["corrected"]


def test_test_half_is_not_preselected(drive: Path) -> None:
    pairs = {pair.name: pair for pair in pairs_in_folder(drive, "vessel")}
    assert "test half of DRIVE" in pairs["01_test"].issue.message
    assert pairs["21_training"].issue is None
    assert [pairs[name].preselected for name in ("01_test", "21_training")] == [False, True]


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="gone"):
        pairs_in_folder(tmp_path / "gone", "disc")


def test_folders_of_listed_images_are_found(tmp_path: Path) -> None:
    image, mask = eye_layers("a", "disc")
    image.metadata["sam2lora"]["listed_in"] = str(tmp_path)
    foreign = Image(round_mask(), name="foreign")
    assert listed_folders([image, mask, foreign]) == [tmp_path]


def test_masks_without_a_target_name_are_those_of_the_target(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(folder / "images", plain / "images")
    shutil.copytree(folder / "masks" / "disc", plain / "masks")
    assert [one.name for one in pairs_in_folder(plain, "disc")] == [
        one.name for one in pairs_in_folder(folder, "disc")
    ]
