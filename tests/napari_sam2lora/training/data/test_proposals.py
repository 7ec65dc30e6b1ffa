"""Pairs of the viewer and of folders in one list."""

from pathlib import Path

import pytest
from napari.components import ViewerModel

from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.proposals import merge_pairs
from napari_sam2lora.training.data.viewer_pairs import pairs_in_viewer
from sam2lora.annotations.store import Corrections

from ..conftest import add_eye, labels_layer, round_mask


def names(viewer: ViewerModel, *folders: Path) -> list[str]:
    listed = [pair for folder in folders for pair in pairs_in_folder(folder, "disc")]
    return [pair.name for pair in merge_pairs(pairs_in_viewer(viewer, "disc"), listed)]


def preselected(viewer: ViewerModel, folder: Path) -> dict[str, bool]:
    pairs = merge_pairs(pairs_in_viewer(viewer, "disc"), pairs_in_folder(folder, "disc"))
    return {pair.name: pair.preselected for pair in pairs}


def test_unchanged_accepted_mask_is_not_preselected(viewer: ViewerModel, folder: Path) -> None:
    corrected = {"disc": round_mask(5)}
    Corrections(folder).save("ben_left", folder / "images/ben_left.png", corrected)
    ImageList(viewer, folder).go(0)
    assert preselected(viewer, folder) == {
        "anna_left": False,
        "anna_right": False,
        "ben_left": True,
    }
    viewer.layers["anna_left disc"].data[:5] = 1
    assert preselected(viewer, folder)["anna_left"]


def test_key_is_kept_when_the_image_is_opened(viewer: ViewerModel, folder: Path) -> None:
    def keys(target: str) -> set[str]:
        pairs = merge_pairs(pairs_in_viewer(viewer, target), pairs_in_folder(folder, target))
        return {pair.key for pair in pairs}

    before = keys("disc")
    ImageList(viewer, folder).go(0)
    assert keys("disc") == before
    viewer.add_layer(labels_layer("anna_left other disc"))
    assert len(keys("disc")) == 4
    assert not keys("vessel") & before


def test_open_image_of_a_test_half_is_not_preselected(viewer: ViewerModel, drive: Path) -> None:
    images = ImageList(viewer, drive)
    images.go(0)
    pair, *_ = merge_pairs(pairs_in_viewer(viewer, "vessel"), pairs_in_folder(drive, "vessel"))
    assert (pair.labels, pair.preselected) == ("01_test vessel", False)
    assert "test half of DRIVE" in pair.issue.message
    images.go(1)
    assert [pair.preselected for pair in pairs_in_viewer(viewer, "vessel")] == [True]


@pytest.fixture
def link(folder: Path, tmp_path: Path) -> Path:
    """Return a second path of the folder."""
    (tmp_path / "link").symlink_to(folder)
    return tmp_path / "link"


def test_image_in_both_is_listed_once_with_its_layer(
    viewer: ViewerModel, folder: Path, link: Path
) -> None:
    image, layer = add_eye(viewer, "a", "disc", path=link / "images/ben_left.png")
    assert names(viewer, folder, link) == ["a", "anna_left", "anna_right"]
    image.metadata["sam2lora"]["key"] = "a copy"  # its file is the same
    layer.metadata["sam2lora"]["image"] = "a copy"
    assert names(viewer, folder, link) == ["a", "anna_left", "anna_right"]


def test_file_is_listed_too_where_the_layer_cannot_be_used(
    viewer: ViewerModel, folder: Path
) -> None:
    _, layer = add_eye(viewer, "a", "disc", path=folder / "images/ben_left.png")
    layer.data = layer.data[:50]
    assert names(viewer, folder) == ["a", "anna_left", "anna_right", "ben_left"]
    viewer.layers.remove(layer)
    assert names(viewer, folder) == ["anna_left", "anna_right", "ben_left"]
