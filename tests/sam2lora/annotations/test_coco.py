"""COCO annotations: the run lengths describe the same pixels."""

import json
from pathlib import Path

import numpy as np
import pytest

from sam2lora.annotations import coco_document, run_lengths, save_coco
from sam2lora.datasets import read_dataset
from sam2lora.errors import GeometryError, OutputError


def pixels_of(segmentation: dict) -> np.ndarray:
    """Decode run lengths as the format describes them, one run after the other."""
    height, width = segmentation["size"]
    flat: list[bool] = []
    for number, length in enumerate(segmentation["counts"]):
        flat += [number % 2 == 1] * length
    return np.array(flat, bool).reshape(width, height).T


def draw(text: str) -> np.ndarray:
    return np.array([[sign == "#" for sign in line] for line in text.split()])


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("... .#. ...", [4, 1, 4]),
        ("##. ... ...", [0, 1, 2, 1, 5]),
        ("### ### ###", [0, 9]),
        ("... ... ...", [9]),
        ("..# ..# ..#", [6, 3]),
        (".#. ### .#.", [1, 1, 1, 3, 1, 1, 1]),
    ],
)
def test_run_lengths_follow_columns_and_start_with_background(text: str, counts: list[int]):
    assert run_lengths(draw(text)) == counts


def test_run_lengths_decode_to_the_same_mask():
    rng = np.random.default_rng(1)
    for share in (0.02, 0.5, 0.97):
        mask = rng.random((37, 23)) < share
        drawn = pixels_of({"size": [37, 23], "counts": run_lengths(mask)})
        np.testing.assert_array_equal(drawn, mask)


def test_an_annotation_has_the_area_box_and_category_of_its_mask():
    mask = np.zeros((20, 30), bool)
    mask[5:9, 3:10] = True
    document = coco_document([("eye.png", {"disc": mask, "cup": mask & False})])
    assert document["images"] == [{"id": 1, "file_name": "eye.png", "height": 20, "width": 30}]
    assert {entry["name"]: entry["id"] for entry in document["categories"]} == {"disc": 2, "cup": 3}
    (annotation,) = document["annotations"]
    assert (annotation["category_id"], annotation["image_id"]) == (2, 1)
    assert (annotation["area"], annotation["bbox"]) == (28, [3, 5, 7, 4])
    np.testing.assert_array_equal(pixels_of(annotation["segmentation"]), mask)


def test_annotations_of_several_images_name_theirs():
    mask = np.ones((2, 3), bool)
    document = coco_document([("a.png", {"disc": mask}), ("b.png", {"cup": mask, "disc": mask})])
    assert [entry["id"] for entry in document["images"]] == [1, 2]
    found = [(one["id"], one["image_id"], one["category_id"]) for one in document["annotations"]]
    assert found == [(1, 1, 2), (2, 2, 3), (3, 2, 2)]


def test_pycocotools_reads_the_document(tmp_path: Path):
    coco = pytest.importorskip("pycocotools.coco")
    mask = np.random.default_rng(2).random((19, 31)) < 0.4
    path = save_coco(tmp_path / "a.json", [("a.png", {"vessel": mask})])
    read = coco.COCO(str(path))
    (annotation,) = read.loadAnns(read.getAnnIds())
    np.testing.assert_array_equal(read.annToMask(annotation), mask)


def test_real_mask_is_read_back_from_the_file(real_data: Path, tmp_path: Path):
    mask = read_dataset(real_data / "DRIVE" / "test").records[0].read_mask("vessel")
    path = save_coco(tmp_path / "drive.json", [("01_test.tif", {"vessel": mask})])
    (annotation,) = json.loads(path.read_text())["annotations"]
    np.testing.assert_array_equal(pixels_of(annotation["segmentation"]), mask)


def test_masks_of_different_sizes_are_refused(tmp_path: Path):
    with pytest.raises(GeometryError, match=r"same size.*\(2, 2\), \(3, 3\)"):
        coco_document([("a", {"disc": np.ones((2, 2), bool), "cup": np.ones((3, 3), bool)})])
    with pytest.raises(OutputError, match="no-such"):
        save_coco(tmp_path / "no-such" / "a.json", [("a", {"disc": np.ones((2, 2), bool)})])
