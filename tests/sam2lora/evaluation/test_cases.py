"""Cases: what a protocol makes of an image, and what cannot be judged."""

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


def test_the_literature_sees_the_image_as_it_is_and_judges_vessels_inside_the_field() -> None:
    case = make_case(reference=square(0, 0, 40))
    view = prepare_case(case, VESSEL, LITERATURE)
    assert view.prepared.pixels is case.pixels
    assert view.prepared.field is FIELD
    np.testing.assert_array_equal(view.valid, INSIDE)
    np.testing.assert_array_equal(view.scored_reference, square(0, 0, 40) & INSIDE)


def test_compact_targets_are_judged_in_the_whole_image() -> None:
    view = prepare_case(make_case(reference=square(0, 0, 40)), SPOT, LITERATURE)
    assert view.valid is None
    np.testing.assert_array_equal(view.scored_reference, square(0, 0, 40))


def test_a_field_that_is_not_given_is_found() -> None:
    drawn = draw_fundus(1, SyntheticSettings(size=160))
    case = Case("a", drawn.image, drawn.masks["vessel"])
    found = find_field_of_view(drawn.image)
    np.testing.assert_array_equal(prepare_case(case, VESSEL, LITERATURE).valid, found.mask)


def test_the_paper_squashes_image_and_truth_and_judges_everything() -> None:
    wide = np.zeros((30, 90, 3), np.uint8)
    wide[:, 45:] = 255
    reference = np.zeros((30, 90), bool)
    reference[:15] = True
    view = prepare_case(Case("a", wide, reference), VESSEL, PAPER)
    assert view.prepared.pixels.shape == (1024, 1024, 3)
    assert view.valid is None
    assert view.reference[:512].all()
    assert not view.reference[512:].any()
    assert view.prepared.pixels[:, :500].max() == 0
    assert view.prepared.pixels[:, 530:].min() == 255
    field = view.prepared.field
    assert field.mask.all()
    assert (field.center, field.diameter) == ((511.5, 511.5), 1024.0)


def test_thin_structures_survive_the_squash_as_often_as_their_width_says() -> None:
    """Nearest neighbour keeps the area; a rule of the majority would drop every thin line."""
    lines = np.zeros((3000, 3000), bool)
    lines[:, ::3] = True
    assert stretch_mask(lines, 1024).mean() == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"pixels": np.zeros((SIDE, SIDE), np.uint8)}, "an image is (H, W, 3) uint8"),
        ({"pixels": np.zeros((SIDE, SIDE, 3), float)}, "an image is (H, W, 3) uint8"),
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
def test_what_does_not_fit_together_is_no_case(fields: dict[str, object], what: str) -> None:
    case = make_case()
    parts = {"pixels": case.pixels, "reference": case.reference, "field": FIELD} | fields
    with pytest.raises(GeometryError, match=re.escape(f"layer 1: {what}")):
        Case("layer 1", **parts)


def test_a_record_is_read_as_the_protocol_wants_it(write_chase) -> None:
    first, second = square(10, 10, 20), square(20, 10, 20)
    dataset = read_dataset(write_chase({"Image_01L": (first, second)}))
    (record,) = dataset.records
    case = read_case(record, "vessel", LITERATURE)
    np.testing.assert_array_equal(case.reference, first)
    assert (case.name, case.dataset, case.patient) == ("Image_01L", "CHASE_DB1", "01")
    assert case.field is None
    np.testing.assert_array_equal(read_case(record, "vessel", PAPER).reference, first | second)


def test_the_field_of_the_data_set_goes_before_what_would_be_found(write_set, spot) -> None:
    root = write_set("own", {"a": make_case("a")})
    (record,) = read_dataset(root).records
    np.testing.assert_array_equal(read_case(record, "spot", LITERATURE).field.mask, INSIDE)
    assert read_case(record, "spot", PAPER).field is None


def test_a_mask_of_another_size_is_named_before_anything_is_read(write_chase) -> None:
    root = write_chase({"Image_01L": (INSIDE,), "Image_02L": (INSIDE,)})
    save(root / "Image_02L_1stHO.png", square(0, 0, 5, size=32))
    records = read_dataset(root).records
    with pytest.raises(DatasetError, match=r"Image_02L_1stHO.png: is 32 × 32.* is 64 × 64"):
        check_records(records, "vessel", graders=[1])


def test_a_field_of_another_size_is_named_too(write_set, spot) -> None:
    root = write_set("own", {"a": make_case("a")})
    save(root / "fov" / "a.png", np.ones((10, 20), bool))
    with pytest.raises(DatasetError, match=r"fov.a\.png: is 20 × 10"):
        check_records(read_dataset(root).records, "spot", graders=[1])


def test_a_turned_photograph_has_the_size_it_is_shown_at(write_set, spot) -> None:
    root = write_set("own", {"a": make_case("a", field=None)})
    turned = Image.fromarray(np.zeros((30, 50, 3), np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    (root / "images" / "a.png").unlink()
    turned.save(root / "images" / "a.jpg", exif=exif)
    save(root / "masks" / "spot" / "a.png", np.ones((50, 30), bool))
    check_records(read_dataset(root).records, "spot", graders=[1])


def test_a_missing_grader_is_named(write_chase) -> None:
    records = read_dataset(write_chase({"Image_01L": (INSIDE,)})).records
    with pytest.raises(DatasetError, match=r"Image_01L\.jpg: has no mask of vessel by grader 2"):
        check_records(records, "vessel", graders=[2])
    with pytest.raises(DatasetError, match=r"Image_01L\.jpg: has no mask of disc\."):
        check_records(records, "disc", graders=["union"])


def test_files_that_cannot_be_read_are_left_for_later(write_chase) -> None:
    root: Path = write_chase({"Image_01L": (INSIDE,), "Image_02L": (INSIDE,)})
    (root / "Image_01L.jpg").write_bytes(b"")
    (root / "Image_02L_1stHO.png").write_text("no picture")
    check_records(read_dataset(root).records, "vessel", graders=[1])
