"""Reading a record: its image, its masks by grader, and its field of view."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets import MaskFile, Record, read_dataset
from sam2lora.datasets.check import check_masks
from sam2lora.datasets.records import patient_from_name
from sam2lora.errors import DatasetError, ImageError
from sam2lora.images.decoded_image import turn_upright
from sam2lora.images.decoding import read_shape
from sam2lora.images.reading import read_image

Put = Callable[[str, Any], Path]


@pytest.fixture
def record(put: Put, box: np.ndarray) -> Record:
    """Create a record with two graders and a field of view."""
    graders = (
        MaskFile(put("m1.png", box), "half"),
        MaskFile(put("m2.png", np.roll(box, 1, axis=1)), "half"),
    )
    fov = MaskFile(put("fov.png", ~box), "half")
    image = put("01R.png", "photo")
    return Record("set", "01R", image, {"vessel": graders}, fov, "01", "left", None)


def test_masks_by_grader_and_their_union(record: Record, box: np.ndarray) -> None:
    moved = np.roll(box, 1, axis=1)
    np.testing.assert_array_equal(record.read_mask("vessel"), box)
    np.testing.assert_array_equal(record.read_mask("vessel", grader=2), moved)
    np.testing.assert_array_equal(record.read_mask("vessel", grader="union"), box | moved)


@pytest.mark.parametrize(
    ("target", "grader", "message"),
    [
        ("vessel", 3, "no mask of vessel by grader 3. Number of graders: vessel: 2"),
        ("vessel", 0, "by grader 0"),
        ("disc", 1, "no mask of disc by grader 1"),
        ("disc", "union", r"no mask of disc\. "),
    ],
)
def test_missing_mask_is_reported_with_target_and_grader(
    record: Record, target: str, grader: Any, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        record.read_mask(target, grader=grader)


def test_error_for_a_mask_of_another_size_names_files_and_sizes(
    record: Record, put: Put, box: np.ndarray
) -> None:
    small = MaskFile(put("small.png", box[:4, :5]), "half")
    with pytest.raises(ImageError, match=r"small\.png: the mask is 5 × 4, .*01R\.png is 12 × 8"):
        replace(record, masks={"vessel": (small,)}).read_mask("vessel")
    with pytest.raises(ImageError, match=r"small\.png: the mask is 5 × 4"):
        replace(record, fov=small).read_field_of_view()


def test_eye_of_the_dataset_takes_precedence(record: Record) -> None:
    assert record.read_image().eye == "left"
    assert replace(record, eye=None).read_image().eye == "right"


def test_field_of_view_is_found_if_the_dataset_has_none(record: Record, box: np.ndarray) -> None:
    np.testing.assert_array_equal(record.read_field_of_view().mask, ~box)
    assert replace(record, fov=None).read_field_of_view().mask.all()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_shape_is_that_of_the_upright_image(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (12, 8)).save(path, exif=exif)
    assert read_shape(path) == ((8, 12) if orientation < 5 else (12, 8))
    assert read_shape(path) == read_image(path).pixels.shape[:2]


def test_shape_of_a_format_unknown_to_pillow(put: Put) -> None:
    assert read_shape(put("a.ppm.gz", "photo")) == (8, 12)


def test_shape_of_a_text_file_is_refused(put: Put) -> None:
    with pytest.raises(ImageError, match=r"a\.png: is not an image"):
        read_shape(put("a.png", "some text"))


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("Image_01L", "Image_01"),
        ("RET002OD", "RET002"),
        ("OS-3", "3"),
        ("12_left", "12"),
        ("left 12", "12"),
        ("Right", "Right"),
        ("dolores", "dolores"),
        ("A_R_17", "A__17"),
        ("21_training", "21_training"),
    ],
)
def test_patient_from_name(stem: str, patient: str) -> None:
    assert patient_from_name(stem) == patient


def test_with_target_lists_the_available_targets(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    for stem in "ab":
        put(f"images/{stem}.png", "photo")
    put("masks/disc/a.png", box)
    dataset = read_dataset(tmp_path)
    assert [record.stem for record in dataset.with_target("disc")] == ["a"]
    with pytest.raises(DatasetError, match=r"has no masks of cup\. It has: disc"):
        dataset.with_target("cup")


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_mask_drawn_before_the_exif_orientation_is_turned(
    put: Put, tmp_path: Path, box: np.ndarray, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.where(box[..., None], 250, 5).repeat(3, 2).astype(np.uint8))
    stored.save(tmp_path / "a.png", exif=exif)
    upright = read_image(tmp_path / "a.png").pixels[..., 0] > 127
    assert upright.shape == (12, 8)
    files = {"disc": (MaskFile(put("m.png", box), "half"),)}
    fov = MaskFile(put("fov.png", box), "half")
    turned = Record("set", "a", tmp_path / "a.png", files, fov, "a", None, None)
    np.testing.assert_array_equal(turned.read_mask("disc"), upright)
    np.testing.assert_array_equal(turned.read_field_of_view().mask, upright)
    put("m.png", upright)
    np.testing.assert_array_equal(turned.read_mask("disc"), upright)


def turned_disc(path: Path, orientation: int, *, square: bool, bright: int) -> np.ndarray:
    """Write an image with a bright disc that is not upright; return its mask as stored."""
    rows, columns = np.indices((80, 80 if square else 120))
    disc = (rows - 20) ** 2 + (columns - 30) ** 2 < 100
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.where(disc, 90 + bright, 90).astype(np.uint8)
    Image.fromarray(stored).save(path, exif=exif)
    return disc


@pytest.mark.parametrize(
    ("orientation", "square"), [(2, False), (3, False), (4, True), (5, True), (6, True), (8, True)]
)
def test_mask_of_the_same_size_is_turned_where_the_image_shows_it(
    put: Put, tmp_path: Path, orientation: int, *, square: bool
) -> None:
    image = tmp_path / "a.png"
    stored = turned_disc(image, orientation, square=square, bright=60)
    upright = turn_upright(stored, orientation)
    for number, drawn in enumerate((stored, upright)):
        files = {"disc": (MaskFile(put(f"m{number}.png", drawn), "half", target="disc"),)}
        record = Record("set", "a", image, files, None, "a", None, None)
        np.testing.assert_array_equal(record.read_mask("disc"), upright)
        assert check_masks([record], "disc") == []


def test_mask_that_could_be_drawn_either_way_is_reported(put: Put, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    mask = turned_disc(image, 3, square=False, bright=0)
    files = {"disc": (MaskFile(put("m.png", mask), "half", target="disc"),)}
    record = Record("set", "a", image, files, None, "a", None, None)
    np.testing.assert_array_equal(record.read_mask("disc"), mask)
    (problem,) = check_masks([record], "disc")
    assert "does not show on which it was drawn" in problem.text


def test_swapped_size_without_an_orientation_is_another_size(record: Record, put: Put) -> None:
    swapped = MaskFile(put("swapped.png", np.eye(12, 8) > 0), "half")
    with pytest.raises(ImageError, match=r"swapped\.png: the mask is 8 × 12"):
        replace(record, masks={"vessel": (swapped,)}).read_mask("vessel")


def test_one_of_two_masks_is_not_chosen(record: Record, tmp_path: Path) -> None:
    file = replace(record.masks["vessel"][0], rivals=(tmp_path / "m1.jpg",))
    with pytest.raises(ImageError, match=r"m1\.png: is one of several masks .*m1\.jpg"):
        replace(record, masks={"vessel": (file,)}).read_mask("vessel")
