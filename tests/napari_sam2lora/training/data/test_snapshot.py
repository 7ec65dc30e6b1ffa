"""What is ticked is copied as it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Shapes
from PIL import Image as PILImage

from napari_sam2lora.image_list.model import ImageList
from napari_sam2lora.training.data.annotated_area import add_annotated_area
from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.snapshot import DATA, sources_of, write_run, write_snapshot
from napari_sam2lora.training.data.viewer_pairs import pairs_in_viewer
from sam2lora.annotations.store import Corrections
from sam2lora.datasets import read_dataset
from sam2lora.errors import GeometryError, OutputError, SettingsError
from sam2lora.runs import list_runs

from ..conftest import SHAPE, add_eye, round_mask


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


EYES = ("anna_left", "anna_right", "ben_left")


def records(run: Path) -> list:
    return list(read_dataset(run / DATA).records)


def test_layers_are_copied_as_they_were_when_asked(viewer: ViewerModel, tmp_path: Path) -> None:
    _, layer = add_eye(viewer, "a", "disc")
    loads = sources_of(pairs_in_viewer(viewer, "disc"), "disc")
    layer.data[:] = 0
    run = write_run(tmp_path / "run", "{}", loads)
    (record,) = records(run)
    assert np.array_equal(record.read_mask("disc"), round_mask())
    assert record.image.parent == run / "data/images"
    assert json.loads((run / "settings.json").read_text()) == {}


def test_files_are_copied_with_their_corrections(folder: Path, tmp_path: Path) -> None:
    corrected = {"disc": round_mask(5)}
    Corrections(folder).save("ben_left", folder / "images/ben_left.png", corrected)
    run = write_run(tmp_path / "run", "{}", sources_of(pairs_in_folder(folder, "disc"), "disc"))
    found = {one.stem: one for one in records(run)}
    assert np.array_equal(found["ben_left"].read_mask("disc"), corrected["disc"])
    assert np.array_equal(found["anna_left"].read_mask("disc"), round_mask())
    assert found["anna_left"].patient == found["anna_right"].patient == "mine anna"


def test_a_data_sets_field_of_view_comes_along(drive: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "{}", sources_of(pairs_in_folder(drive, "vessel"), "vessel"))
    assert all(one.fov is not None for one in records(run))


def test_a_draft_leaves_images_where_they_are(folder: Path, tmp_path: Path) -> None:
    path = write_snapshot(tmp_path, '{"a": 1}', sources_of(pairs_in_folder(folder, "disc"), "disc"))
    assert json.loads(path.read_text()) == {"a": 1}
    assert records(tmp_path)[0].image == folder / "images/anna_left.png"


def test_nothing_is_left_of_a_run_that_could_not_be_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    loads = sources_of(pairs_in_folder(folder, "disc"), "disc")
    monkeypatch.setattr("sam2lora.annotations.training_data.shutil.copyfile", full)
    with pytest.raises(OutputError, match="No space left"):
        write_run(tmp_path / "run", "{}", loads)
    assert [one.name for one in tmp_path.iterdir()] == [folder.name]


def test_a_run_is_not_there_before_it_is_whole(folder: Path, tmp_path: Path) -> None:
    loads = sources_of(pairs_in_folder(folder, "disc"), "disc")

    def look() -> None:
        assert list_runs(tmp_path / "runs") == []
        return loads[0]()

    run = write_run(tmp_path / "runs/run", "{}", [look])
    assert [one.folder for one in list_runs(tmp_path / "runs")] == [run]


@pytest.mark.parametrize(("value", "words"), [(0, "is empty"), (255, "covers 100%")])
def test_masks_of_files_are_looked_at_when_they_are_read(
    folder: Path, tmp_path: Path, value: int, words: str
) -> None:
    PILImage.fromarray(np.full(SHAPE, value, np.uint8)).save(folder / "masks/disc/ben_left.png")
    loads = sources_of(pairs_in_folder(folder, "disc"), "disc")
    with pytest.raises(SettingsError, match=f"ben_left: its mask of disc .* {words}"):
        write_run(tmp_path / "run", "{}", loads)


def test_the_area_of_an_image_that_is_not_open_any_more_counts(
    viewer: ViewerModel, folder: Path, tmp_path: Path
) -> None:
    images = ImageList(viewer, folder)
    images.go(0)
    area = add_annotated_area(viewer)
    area.add_rectangles([[0, 0], [0, 31], [63, 31], [63, 0]])
    images.go(1)
    assert area in viewer.layers
    assert not area.visible
    pairs = pairs_in_folder(folder, "disc", viewer.layers)
    run = write_run(tmp_path / "run", "{}", sources_of(pairs, "disc"))
    ignored = [one.read_ignored() for one in records(run)]
    assert ignored[0][:, 33:].all()
    assert ignored[1:] == [None, None]
    images.go(0)
    assert area.visible
    assert [one.area for one in pairs_in_viewer(viewer, "disc")] == [area]


def table_of(folder: Path, place: Path) -> Path:
    """Write a table that leaves the lower half of an image out, and give its folder."""
    place.mkdir(exist_ok=True)
    lower = np.zeros(SHAPE, np.uint8)
    lower[32:] = 255
    PILImage.fromarray(lower).save(folder / "lower.png")
    rows = [f"{folder / 'images'}/{one}.png,{folder / 'masks/disc'}/{one}.png" for one in EYES]
    lines = ["image,disc,ignore", *(f"{row},{folder / 'lower.png'}" for row in rows)]
    (place / "dataset.csv").write_text("\n".join(lines), encoding="utf-8")
    return place


@pytest.mark.parametrize("place", ["mine", "elsewhere"])
def test_what_a_data_set_leaves_out_is_left_out_with_what_was_drawn(
    viewer: ViewerModel, folder: Path, tmp_path: Path, place: str
) -> None:
    images = ImageList(viewer, table_of(folder, tmp_path / place))
    images.go(0)
    (pair,) = pairs_in_viewer(viewer, "disc")
    run = write_run(tmp_path / "open", "{}", sources_of([pair], "disc"))
    ignored = records(run)[0].read_ignored()
    assert ignored[32:].all()
    assert not ignored[:32].any()

    area = add_annotated_area(viewer)
    area.add_rectangles([[0, 0], [0, 31], [63, 31], [63, 0]])
    pairs = pairs_in_viewer(viewer, "disc")
    images.go(1)
    listed = pairs_in_folder(images.folder, "disc", viewer.layers)[:1]
    for name, some in (("open with area", pairs), ("listed", listed)):
        (record,) = records(write_run(tmp_path / name, "{}", sources_of(some, "disc")))
        ignored = record.read_ignored()
        assert ignored[32:].all()
        assert ignored[:, 33:].all()
        assert not ignored[:32, :31].any()


def test_what_is_refused_is_not_copied(viewer: ViewerModel) -> None:
    add_eye(viewer, "a", "vessel")
    with pytest.raises(SettingsError, match="a: There are labels of vessel"):
        sources_of(pairs_in_viewer(viewer, "disc"), "disc")


def test_outside_the_annotated_area_nothing_counts(viewer: ViewerModel, tmp_path: Path) -> None:
    add_eye(viewer, "a", "disc")
    area = add_annotated_area(viewer)
    assert (area.name, area.mode) == ("a annotated area", "add_polygon")
    (pair,) = pairs_in_viewer(viewer, "disc")
    run = write_run(tmp_path / "nothing drawn", "{}", sources_of([pair], "disc"))
    assert records(run)[0].read_ignored() is None
    area.add_rectangles([[0, 0], [0, 31], [63, 31], [63, 0]])
    run = write_run(tmp_path / "left half", "{}", sources_of([pair], "disc"))
    ignored = records(run)[0].read_ignored()
    assert ignored[:, 33:].all()
    assert not ignored[:, :31].any()


def test_an_area_that_lies_elsewhere_is_refused(viewer: ViewerModel) -> None:
    add_eye(viewer, "a", "disc")
    square = np.array([[0, 0], [0, 9], [9, 9], [9, 0]])
    viewer.add_layer(Shapes([square], name="a annotated area", scale=(2, 2)))
    with pytest.raises(GeometryError, match="lies otherwise than a"):
        sources_of(pairs_in_viewer(viewer, "disc"), "disc")


def test_a_painted_area_does_as_well(viewer: ViewerModel, tmp_path: Path) -> None:
    add_eye(viewer, "a", "disc")
    painted = np.zeros(SHAPE, np.uint8)
    painted[:30] = 1
    viewer.add_labels(painted, name="a annotated area")
    (pair,) = pairs_in_viewer(viewer, "disc")
    run = write_run(tmp_path / "run", "{}", sources_of([pair], "disc"))
    assert np.array_equal(records(run)[0].read_ignored(), painted == 0)
