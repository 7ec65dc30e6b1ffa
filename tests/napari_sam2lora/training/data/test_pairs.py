"""Which images and labels are proposed, and what is said about those that are not."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.training.data.folder_pairs import listed_folders, pairs_in_folder
from napari_sam2lora.training.data.pairs import is_single_patient, issues_of
from napari_sam2lora.training.data.proposals import propose
from napari_sam2lora.training.data.viewer_pairs import pairs_in_viewer
from sam2lora.annotations.store import Corrections
from sam2lora.errors import DatasetError

from ..conftest import SHAPE, add_eye, round_mask


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def painted(name: str, shape: tuple[int, ...] = SHAPE, **options: object) -> Labels:
    data = np.zeros(shape, np.uint8)
    data[..., 5:9, 5:9] = 1
    return Labels(data, name=name, **options)


def test_layers_are_paired_by_what_the_plugin_noted(viewer: ViewerModel) -> None:
    for name in ("a", "b"):
        add_eye(viewer, name, "disc", "vessel")
    pairs = pairs_in_viewer(viewer, "disc")
    assert [(one.name, one.labels, one.proposed) for one in pairs] == [
        ("a", "a disc", True),
        ("b", "b disc", True),
    ]
    assert [one.layer.name for one in pairs_in_viewer(viewer, "vessel")] == ["a vessel", "b vessel"]


def test_layers_of_others_are_paired_by_name_and_size(viewer: ViewerModel) -> None:
    add_eye(viewer, "a")
    add_eye(viewer, "ab")
    for name in ("a disc", "ab my disc"):
        viewer.add_layer(painted(name))
    assert [(one.name, one.labels) for one in pairs_in_viewer(viewer, "disc")] == [
        ("a", "a disc"),
        ("ab", "ab my disc"),
    ]


@pytest.mark.parametrize(
    ("change", "words", "refused"),
    [
        (lambda layer: layer.data.fill(0), "Nothing is painted", False),
        (lambda layer: layer.data.fill(2), "inverted", False),
        (lambda layer: setattr(layer, "data", layer.data[:50]), "labels are 64 × 50", True),
        (lambda layer: setattr(layer, "data", np.stack([layer.data] * 3)), "stack", True),
        (
            lambda layer: layer.metadata["sam2lora"].update(view="preview"),
            "preview of an answer",
            True,
        ),
    ],
    ids=["empty", "full", "another size", "stack", "preview"],
)
def test_what_is_wrong_is_said(viewer: ViewerModel, change, words: str, refused: bool) -> None:
    _, layer = add_eye(viewer, "a", "disc")
    change(layer)
    (pair,) = pairs_in_viewer(viewer, "disc")
    assert words in pair.issue.message
    assert (pair.issue.blocking, pair.proposed) == (refused, False)


def test_an_image_without_labels_of_the_target_says_which_it_has(viewer: ViewerModel) -> None:
    add_eye(viewer, "a", "vessel")
    (pair,) = pairs_in_viewer(viewer, "disc")
    assert "labels of vessel, but not of disc" in pair.issue.message
    assert pair.issue.blocking
    viewer.layers.remove("a vessel")
    assert "end in disc" in pairs_in_viewer(viewer, "disc")[0].issue.message


def test_two_layers_of_one_target_are_left_to_the_user(viewer: ViewerModel) -> None:
    add_eye(viewer, "a", "disc")
    viewer.add_layer(painted("a other disc"))
    pairs = pairs_in_viewer(viewer, "disc")
    assert len(pairs) == 2
    assert all("Several layers" in one.issue.message for one in pairs)


def test_a_mask_named_after_one_image_is_not_anothers(viewer: ViewerModel, folder: Path) -> None:
    images = ImageList(viewer, folder)
    images.go(0)
    viewer.add_layer(painted("anna_left vessel"))
    (pair,) = pairs_in_viewer(viewer, "vessel")
    assert (pair.labels, pair.proposed) == ("anna_left vessel", True)
    images.go(1)
    (pair,) = pairs_in_viewer(viewer, "vessel")
    assert (pair.name, pair.layer, pair.proposed) == ("anna_right", None, False)
    viewer.layers["anna_left vessel"].name = "vessel"
    (pair,) = pairs_in_viewer(viewer, "vessel")
    assert (pair.labels, pair.proposed) == ("vessel", False)
    assert pair.issue.message == "Only its size says that it is of this image."


def test_the_open_image_of_a_list_is_proposed_as_its_file_would_be(
    viewer: ViewerModel, folder: Path
) -> None:
    corrected = {"disc": round_mask(5)}
    Corrections(folder).save("ben_left", folder / "images/ben_left.png", corrected)
    ImageList(viewer, folder).go(0)

    def proposed() -> dict[str, bool]:
        pairs = propose(pairs_in_viewer(viewer, "disc"), pairs_in_folder(folder, "disc"))
        return {one.name: one.proposed for one in pairs}

    assert proposed() == {"anna_left": False, "anna_right": False, "ben_left": True}
    viewer.layers["anna_left disc"].data[:5] = 1
    assert proposed()["anna_left"]


def test_a_pair_keeps_its_key_when_its_image_is_opened(viewer: ViewerModel, folder: Path) -> None:
    def keys(target: str) -> set[str]:
        pairs = propose(pairs_in_viewer(viewer, target), pairs_in_folder(folder, target))
        return {one.key for one in pairs}

    before = keys("disc")
    ImageList(viewer, folder).go(0)
    assert keys("disc") == before
    viewer.add_layer(painted("anna_left other disc"))
    assert len(keys("disc")) == 4
    assert not keys("vessel") & before


def test_a_folder_gives_what_has_labels(folder: Path) -> None:
    pairs = pairs_in_folder(folder, "disc")
    assert [(one.name, one.patient, one.proposed) for one in pairs] == [
        ("anna_left", "mine anna", True),
        ("anna_right", "mine anna", True),
        ("ben_left", "mine ben", True),
    ]
    assert pairs_in_folder(folder, "cup") == []


def test_corrected_images_of_a_folder_are_proposed_first(folder: Path) -> None:
    corrections = Corrections(folder)
    image = folder / "images/ben_left.png"
    corrections.save("ben_left", image, {"disc": round_mask(5), "cup": round_mask(3)})
    assert [one.proposed for one in pairs_in_folder(folder, "disc")] == [False, False, True]
    assert [one.labels for one in pairs_in_folder(folder, "cup")] == ["corrected"]


def test_images_of_a_test_half_are_doubted(drive: Path) -> None:
    pairs = {one.name: one for one in pairs_in_folder(drive, "vessel")}
    assert "test half of DRIVE" in pairs["01_test"].issue.message
    assert pairs["21_training"].issue is None
    assert [pairs[one].proposed for one in ("01_test", "21_training")] == [False, True]


def test_open_images_of_a_test_half_are_doubted(viewer: ViewerModel, drive: Path) -> None:
    images = ImageList(viewer, drive)
    images.go(0)
    (pair,) = propose(pairs_in_viewer(viewer, "vessel"), pairs_in_folder(drive, "vessel"))[:1]
    assert (pair.labels, pair.proposed) == ("01_test vessel", False)
    assert "test half of DRIVE" in pair.issue.message
    images.go(1)
    assert [one.proposed for one in pairs_in_viewer(viewer, "vessel")] == [True]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        pairs_in_folder(tmp_path / "gone", "disc")


def test_what_holds_for_all_is_said(folder: Path) -> None:
    left, right, ben = pairs_in_folder(folder, "disc")
    assert "Tick at least one" in issues_of([])[0]
    assert "only one image" in issues_of([left])[0]
    assert "of one person" in issues_of([left, right])[0]
    assert "3 images of 2 people: anna_left, anna_right" in issues_of([left, right, ben])[0]
    assert issues_of([left, ben]) == []
    assert [is_single_patient(some) for some in ([left], [left, right], [left, ben])] == [
        *(True, True, False)
    ]


def test_folders_of_listed_images_are_found(viewer: ViewerModel, tmp_path: Path) -> None:
    image, *_ = add_eye(viewer, "a", "disc")
    image.metadata["sam2lora"]["listed_in"] = str(tmp_path)
    assert listed_folders(viewer.layers) == [tmp_path]


def test_a_layer_is_not_named_after_an_image_whose_name_goes_on(viewer: ViewerModel) -> None:
    for name in ("1", "2"):
        add_eye(viewer, name)
    viewer.add_layer(painted("11 disc"))
    assert [one.layer for one in pairs_in_viewer(viewer, "disc")] == [None, None]
    viewer.add_layer(painted("1_disc"))
    assert [one.labels for one in pairs_in_viewer(viewer, "vessel")] == ["none", "none"]
    viewer.layers["1_disc"].name = "1 - disc"
    assert [one.labels for one in pairs_in_viewer(viewer, "disc")] == ["1 - disc", "none"]


def test_a_photograph_that_is_open_twice_has_its_labels_once(
    viewer: ViewerModel, folder: Path
) -> None:
    path = folder / "images/ben_left.png"
    add_eye(viewer, "a", "disc", path=path)
    add_eye(viewer, "b", path=path)
    assert [one.labels for one in pairs_in_viewer(viewer, "disc")] == ["a disc", "none"]


def test_of_a_photograph_in_both_the_layer_counts(
    viewer: ViewerModel, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder)
    image, layer = add_eye(viewer, "a", "disc", path=tmp_path / "link/images/ben_left.png")
    listed = [*pairs_in_folder(folder, "disc"), *pairs_in_folder(tmp_path / "link", "disc")]

    def proposed() -> list[str]:
        return [one.name for one in propose(pairs_in_viewer(viewer, "disc"), listed)]

    assert proposed() == ["a", "anna_left", "anna_right"]
    image.metadata["sam2lora"]["key"] = "a copy"  # its file is the same
    layer.metadata["sam2lora"]["image"] = "a copy"
    assert proposed() == ["a", "anna_left", "anna_right"]
    layer.data = layer.data[:50]  # cannot be used, but the file can
    assert proposed() == ["a", "anna_left", "anna_right", "ben_left"]
    viewer.layers.remove(layer)
    assert proposed() == ["anna_left", "anna_right", "ben_left"]
