"""Cases: how protocols prepare images, and what cannot be scored."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets import read_dataset
from sam2lora.errors import DatasetError, GeometryError
from sam2lora.evaluation import PROTOCOLS, Case
from sam2lora.evaluation.cases import check_records, prepare_case, read_case, stretch_mask
from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.synthetic import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings

from .conftest import FIELD, INSIDE, SIDE, SPOT, VESSEL, make_case, save, square

LITERATURE, PAPER = PROTOCOLS["literature"], PROTOCOLS["paper"]


def test_literature_protocol_keeps_image_and_scores_vessels_in_the_field() -> None:
    case = make_case(reference=square(0, 0, 40))
    prepared = prepare_case(case, VESSEL, LITERATURE)
    assert prepared.image.pixels is case.pixels
    assert prepared.image.field is FIELD
    np.testing.assert_array_equal(prepared.valid, INSIDE)
    np.testing.assert_array_equal(prepared.scored_reference, square(0, 0, 40) & INSIDE)


def test_compact_targets_are_scored_in_the_whole_image() -> None:
    prepared = prepare_case(make_case(reference=square(0, 0, 40)), SPOT, LITERATURE)
    assert prepared.valid is None
    np.testing.assert_array_equal(prepared.scored_reference, square(0, 0, 40))


def test_missing_field_of_view_is_detected() -> None:
    drawn = draw_fundus(1, SyntheticSettings(size=160))
    case = Case("a", drawn.image, drawn.masks["vessel"])
    expected = find_field_of_view(drawn.image)
    np.testing.assert_array_equal(prepare_case(case, VESSEL, LITERATURE).valid, expected.mask)


def test_paper_protocol_stretches_image_and_reference_and_scores_all() -> None:
    wide = np.zeros((30, 90, 3), np.uint8)
    wide[:, 45:] = 255
    reference = np.zeros((30, 90), bool)
    reference[:15] = True
    prepared = prepare_case(Case("a", wide, reference), VESSEL, PAPER)
    assert prepared.image.pixels.shape == (1024, 1024, 3)
    assert prepared.valid is None
    assert prepared.reference[:512].all()
    assert not prepared.reference[512:].any()
    assert prepared.image.pixels[:, :500].max() == 0
    assert prepared.image.pixels[:, 530:].min() == 255
    field = prepared.image.field
    assert field.mask.all()
    assert (field.center, field.diameter) == ((511.5, 511.5), 1024.0)


def test_stretching_keeps_the_area_of_thin_structures() -> None:
    """Nearest neighbor keeps the area; a majority rule would drop every thin line."""
    lines = np.zeros((3000, 3000), bool)
    lines[:, ::3] = True
    assert stretch_mask(lines, 1024).mean() == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pixels": np.zeros((SIDE, SIDE), np.uint8)}, "the image must be (H, W, 3) uint8"),
        ({"pixels": np.zeros((SIDE, SIDE, 3), float)}, "the image must be (H, W, 3) uint8"),
        (
            {"reference": np.zeros((SIDE, SIDE + 1), bool)},
            "the reference is bool of shape (64, 65)",
        ),
        ({"reference": np.zeros((SIDE, SIDE), np.uint8)}, "the reference is uint8"),
        (
            {"pixels": np.zeros((9, 9, 3), np.uint8), "reference": square(1, 1, 3, size=9)},
            "the field",
        ),
    ],
)
def test_inconsistent_case_is_refused(fields: dict[str, object], message: str) -> None:
    case = make_case()
    parts = {"pixels": case.pixels, "reference": case.reference, "field": FIELD} | fields
    with pytest.raises(GeometryError, match=re.escape(f"layer 1: {message}")):
        Case("layer 1", **parts)


def test_record_is_read_with_the_graders_of_the_protocol(write_chase) -> None:
    first, second = square(10, 10, 20), square(20, 10, 20)
    dataset = read_dataset(write_chase({"Image_01L": (first, second)}))
    (record,) = dataset.records
    case = read_case(record, "vessel", LITERATURE)
    np.testing.assert_array_equal(case.reference, first)
    assert (case.name, case.dataset, case.patient) == ("Image_01L", "CHASE_DB1", "01")
    assert case.field is None
    np.testing.assert_array_equal(read_case(record, "vessel", PAPER).reference, first | second)


def test_field_of_view_of_the_dataset_is_preferred(write_set, spot) -> None:
    root = write_set("mine", {"a": make_case("a")})
    (record,) = read_dataset(root).records
    np.testing.assert_array_equal(read_case(record, "spot", LITERATURE).field.mask, INSIDE)
    assert read_case(record, "spot", PAPER).field is None


def test_mask_of_wrong_size_is_named_before_anything_is_read(write_chase) -> None:
    root = write_chase({"Image_01L": (INSIDE,), "Image_02L": (INSIDE,)})
    save(root / "Image_02L_1stHO.png", square(0, 0, 5, size=32))
    records = read_dataset(root).records
    with pytest.raises(DatasetError, match=r"Image_02L_1stHO.png: is 32 × 32.* is 64 × 64"):
        check_records(records, "vessel", graders=[1])


def test_field_of_view_of_wrong_size_is_named(write_set, spot) -> None:
    root = write_set("mine", {"a": make_case("a")})
    save(root / "fov" / "a.png", np.ones((10, 20), bool))
    with pytest.raises(DatasetError, match=r"fov.a\.png: is 20 × 10"):
        check_records(read_dataset(root).records, "spot", graders=[1])


def test_size_check_respects_exif_orientation(write_set, spot) -> None:
    root = write_set("mine", {"a": make_case("a", field=None)})
    rotated = Image.fromarray(np.zeros((30, 50, 3), np.uint8))
    exif = rotated.getexif()
    exif[0x0112] = 6
    (root / "images" / "a.png").unlink()
    rotated.save(root / "images" / "a.jpg", exif=exif)
    save(root / "masks" / "spot" / "a.png", np.ones((50, 30), bool))
    check_records(read_dataset(root).records, "spot", graders=[1])


def test_missing_grader_is_named(write_chase) -> None:
    records = read_dataset(write_chase({"Image_01L": (INSIDE,)})).records
    with pytest.raises(DatasetError, match=r"Image_01L\.jpg: has no mask of vessel by grader 2"):
        check_records(records, "vessel", graders=[2])
    with pytest.raises(DatasetError, match=r"Image_01L\.jpg: has no mask of disc\."):
        check_records(records, "disc", graders=["union"])


def test_size_check_ignores_unreadable_files(write_chase) -> None:
    root: Path = write_chase({"Image_01L": (INSIDE,), "Image_02L": (INSIDE,)})
    (root / "Image_01L.jpg").write_bytes(b"")
    (root / "Image_02L_1stHO.png").write_text("no picture")
    check_records(read_dataset(root).records, "vessel", graders=[1])
