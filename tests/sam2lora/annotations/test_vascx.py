"""A folder as VascX reads it."""

import ast
import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.annotations import save_for_vascx
from sam2lora.annotations.vascx import read_for_vascx
from sam2lora.datasets import read_dataset
from sam2lora.errors import GeometryError, OutputError
from sam2lora.images.field_of_view import FieldOfView

SHAPE = (300, 400)


def disk(radius: float) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(x - 200, y - 150) <= radius


FIELD = FieldOfView(disk(128), (200.0, 150.0), 256.0)
PIXELS = np.where(disk(128)[..., None], (180, 90, 40), 0).astype(np.uint8)
MASKS = {"vessel": disk(100), "disc": disk(20), "cup": disk(10)}


def bounds(folder: Path) -> dict[str, dict]:
    with (folder / "bounds.csv").open(newline="") as stream:
        return {row["id"]: ast.literal_eval(row["bounds"]) for row in csv.DictReader(stream)}


def test_files_are_written_where_vascx_reads_them(tmp_path: Path):
    files = save_for_vascx(tmp_path, "eye", PIXELS, FIELD, MASKS)
    names = {str(file.relative_to(tmp_path)) for file in files}
    assert names == {"preprocessed_rgb/eye.png", "vessels/eye.png", "disc/eye.png", "bounds.csv"}
    assert all(file.is_file() for file in files)


def test_images_are_squares_of_1024_pixels_around_the_field(tmp_path: Path):
    save_for_vascx(tmp_path, "eye", PIXELS, FIELD, MASKS)
    with Image.open(tmp_path / "preprocessed_rgb" / "eye.png") as image:
        assert (image.size, image.mode) == ((1024, 1024), "RGB")
    with Image.open(tmp_path / "vessels" / "eye.png") as image:
        vessels = np.asarray(image)
    assert vessels.shape == (1024, 1024)
    assert set(np.unique(vessels)) == {0, 255}
    rows = np.flatnonzero(vessels.any(axis=1))  # 256 pixels of the field are 1024: four times
    assert len(rows) == pytest.approx(4 * 201, abs=4)
    assert rows.mean() == pytest.approx(511.5, abs=2)


def test_bounds_table_describes_the_field_of_view(tmp_path: Path):
    save_for_vascx(tmp_path, "eye", PIXELS, FIELD, MASKS)
    content = bounds(tmp_path)["eye"]
    assert content == {"hw": SHAPE, "center": (200.0, 150.0), "radius": 128.0, "lines": {}}


def test_bounds_of_a_cut_field_have_the_cutting_lines(tmp_path: Path):
    mask = disk(128).copy()
    mask[:40] = mask[250:] = False
    save_for_vascx(tmp_path, "eye", PIXELS, FieldOfView(mask, (200, 150), 256), MASKS)
    lines = bounds(tmp_path)["eye"]["lines"]
    assert lines == {"top": [[0, 40], [400, 40]], "bottom": [[0, 250], [400, 250]]}


def test_adding_an_image_keeps_others_and_replaces_its_own(tmp_path: Path):
    for stem in ("a", "b", "a"):
        save_for_vascx(tmp_path, stem, PIXELS, FIELD, MASKS)
    assert sorted(bounds(tmp_path)) == ["a", "b"]
    assert len(list((tmp_path / "disc").iterdir())) == 2


def test_masks_and_tables_vascx_cannot_use_are_refused(tmp_path: Path):
    with pytest.raises(GeometryError, match=r"vessel and disc; found: cup"):
        save_for_vascx(tmp_path, "a", PIXELS, FIELD, {"cup": disk(10)})
    (tmp_path / "bounds.csv").write_text("something,else\n")
    with pytest.raises(OutputError, match=r"bounds\.csv: is not a table of VascX"):
        save_for_vascx(tmp_path, "a", PIXELS, FIELD, MASKS)
    assert [path.name for path in tmp_path.iterdir()] == ["bounds.csv"]


def test_arteries_veins_and_fovea_are_written_where_known(tmp_path: Path):
    masks = MASKS | {"artery": disk(50), "vein": disk(80) & ~disk(40)}
    save_for_vascx(tmp_path, "a", PIXELS, FIELD, masks, fovea=(200.0, 150.0))
    save_for_vascx(tmp_path, "b", PIXELS, FIELD, MASKS)
    with Image.open(tmp_path / "artery_vein" / "a.png") as image:
        values = np.asarray(image)
    assert set(np.unique(values)) == {0, 1, 2, 3}
    assert (values[512, 512], values[512, 512 + 180], values[512, 512 + 300]) == (1, 3, 2)
    found = read_for_vascx(tmp_path)
    assert found["a"]["fovea_location"] == pytest.approx((511.5, 511.5), abs=0.01)
    assert found["a"]["av_path"] == tmp_path / "artery_vein" / "a.png"
    assert found["a"]["bounds"]["radius"] == 128
    assert found["b"].keys() == {"id", "bounds", "fundus_path", "vessels_path", "disc_path"}
    save_for_vascx(tmp_path, "a", PIXELS, FIELD, MASKS)
    assert "fovea_location" not in read_for_vascx(tmp_path)["a"]


def test_a_real_image_keeps_its_vessels(real_data: Path, tmp_path: Path):
    record = read_dataset(real_data / "HRF").records[0]
    mask, field = record.read_mask("vessel"), record.read_field_of_view()
    save_for_vascx(tmp_path, record.stem, record.read_image().pixels, field, {"vessel": mask})
    with Image.open(tmp_path / "vessels" / f"{record.stem}.png") as image:
        share = (np.asarray(image) > 0).sum() / 1024**2
    assert share == pytest.approx(mask.sum() / field.diameter**2, rel=0.1)
