"""Selected pairs are copied as they are."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image as PILImage

from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.training.data.annotated_area import add_annotated_area
from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.pairs import Pair
from napari_sam2lora.training.data.snapshot import DATA, labelled_images, write_snapshot
from napari_sam2lora.training.data.viewer_pairs import pairs_in_viewer
from sam2lora.annotations.store import Corrections
from sam2lora.datasets import Record, read_dataset
from sam2lora.errors import SettingsError
from sam2lora.training.settings import TrainSettings, make_settings

from ..conftest import SHAPE, add_eye, round_mask

EYES = ("anna_left", "anna_right", "ben_left")
LEFT_HALF = [[0, 0], [0, 31], [63, 31], [63, 0]]


def settings(target: str) -> TrainSettings:
    return make_settings("standard", {"target": target, "data": [{"root": DATA}]})


def written(run: Path, pairs: Iterable[Pair], target: str = "disc") -> list[Record]:
    """Write a snapshot of pairs, and return its records."""
    write_snapshot(run, settings(target), labelled_images(pairs, target))
    return list(read_dataset(run / DATA).records)


def test_layers_are_copied_as_they_were_when_the_snapshot_was_taken(
    viewer: ViewerModel, tmp_path: Path
) -> None:
    _, layer = add_eye(viewer, "a", "disc")
    images = labelled_images(pairs_in_viewer(viewer, "disc"), "disc")
    layer.data[:] = 0
    run = write_snapshot(tmp_path / "run", settings("disc"), images)
    (record,) = read_dataset(run.path / DATA).records
    assert np.array_equal(record.read_mask("disc"), round_mask())
    assert record.image.parent == tmp_path / "run/data/images"
    assert json.loads(run.settings.read_text())["target"] == "disc"


def test_files_are_not_read_before_the_snapshot_is_written(folder: Path) -> None:
    images = labelled_images(pairs_in_folder(folder, "disc"), "disc")
    (folder / "masks/disc/ben_left.png").unlink()
    assert [next(images).name, next(images).name] == ["anna_left", "anna_right"]
    with pytest.raises(Exception, match="ben_left"):
        next(images)


def test_corrections_replace_the_masks_of_files(folder: Path, tmp_path: Path) -> None:
    corrected = {"disc": round_mask(5)}
    Corrections(folder).save("ben_left", folder / "images/ben_left.png", corrected)
    records = written(tmp_path / "run", pairs_in_folder(folder, "disc"))
    found = {record.stem: record for record in records}
    assert np.array_equal(found["ben_left"].read_mask("disc"), corrected["disc"])
    assert np.array_equal(found["anna_left"].read_mask("disc"), round_mask())
    assert found["anna_left"].patient == found["anna_right"].patient == "mine anna"


def test_field_of_view_of_a_dataset_is_copied(drive: Path, tmp_path: Path) -> None:
    records = written(tmp_path / "run", pairs_in_folder(drive, "vessel"), "vessel")
    assert all(record.fov is not None for record in records)


def test_image_files_stay_where_they_are_without_copy(folder: Path, tmp_path: Path) -> None:
    images = labelled_images(pairs_in_folder(folder, "disc"), "disc")
    run = write_snapshot(tmp_path / "run", settings("disc"), images, copy=False)
    records = read_dataset(run.path / DATA).records
    assert records[0].image == folder / "images/anna_left.png"


@pytest.mark.parametrize(("value", "message"), [(0, "is empty"), (255, "covers 100%")])
def test_unsuitable_mask_of_a_file_is_an_error(
    folder: Path, tmp_path: Path, value: int, message: str
) -> None:
    PILImage.fromarray(np.full(SHAPE, value, np.uint8)).save(folder / "masks/disc/ben_left.png")
    with pytest.raises(SettingsError, match=f"ben_left: its mask of disc .* {message}"):
        written(tmp_path / "run", pairs_in_folder(folder, "disc"))


def test_unusable_pair_is_an_error_before_anything_is_read(viewer: ViewerModel) -> None:
    add_eye(viewer, "a", "vessel")
    with pytest.raises(SettingsError, match="a: There are labels of vessel"):
        labelled_images(pairs_in_viewer(viewer, "disc"), "disc")


def test_outside_of_the_annotated_area_is_ignored(viewer: ViewerModel, tmp_path: Path) -> None:
    add_eye(viewer, "a", "disc")
    area = add_annotated_area(viewer)
    (record,) = written(tmp_path / "nothing outlined", pairs_in_viewer(viewer, "disc"))
    assert record.read_ignored() is None
    area.add_rectangles(LEFT_HALF)
    (record,) = written(tmp_path / "left half", pairs_in_viewer(viewer, "disc"))
    ignored = record.read_ignored()
    assert ignored[:, 33:].all()
    assert not ignored[:, :31].any()


def test_annotated_area_of_a_closed_image_is_kept(
    viewer: ViewerModel, folder: Path, tmp_path: Path
) -> None:
    images = ImageList(viewer, folder)
    images.go(0)
    area = add_annotated_area(viewer)
    area.add_rectangles(LEFT_HALF)
    images.go(1)
    assert area in viewer.layers
    assert not area.visible
    records = written(tmp_path / "run", pairs_in_folder(folder, "disc", viewer.layers))
    ignored = [record.read_ignored() for record in records]
    assert ignored[0][:, 33:].all()
    assert ignored[1:] == [None, None]
    images.go(0)
    assert area.visible
    assert [pair.area for pair in pairs_in_viewer(viewer, "disc")] == [area]


def write_table(folder: Path, place: Path) -> Path:
    """Write a table that ignores the lower half of each image, and return its folder."""
    place.mkdir(exist_ok=True)
    lower = np.zeros(SHAPE, np.uint8)
    lower[32:] = 255
    PILImage.fromarray(lower).save(folder / "lower.png")
    rows = [f"{folder / 'images'}/{name}.png,{folder / 'masks/disc'}/{name}.png" for name in EYES]
    lines = ["image,disc,ignore", *(f"{row},{folder / 'lower.png'}" for row in rows)]
    (place / "dataset.csv").write_text("\n".join(lines), encoding="utf-8")
    return place


@pytest.mark.parametrize("place", ["mine", "elsewhere"])
def test_ignored_part_of_a_dataset_is_added_to_that_of_the_annotated_area(
    viewer: ViewerModel, folder: Path, tmp_path: Path, place: str
) -> None:
    images = ImageList(viewer, write_table(folder, tmp_path / place))
    images.go(0)
    (record,) = written(tmp_path / "open", pairs_in_viewer(viewer, "disc"))
    ignored = record.read_ignored()
    assert ignored[32:].all()
    assert not ignored[:32].any()

    area = add_annotated_area(viewer)
    area.add_rectangles(LEFT_HALF)
    pairs = pairs_in_viewer(viewer, "disc")
    images.go(1)
    listed = pairs_in_folder(images.folder, "disc", viewer.layers)[:1]
    for name, some in (("open with area", pairs), ("listed", listed)):
        (record,) = written(tmp_path / name, some)
        ignored = record.read_ignored()
        assert ignored[32:].all()
        assert ignored[:, 33:].all()
        assert not ignored[:32, :31].any()
